//! UserSig, version 2: the signature an app server makes for an account, and how it is read back.
//!
//! Pure: keys, clocks and decisions are the caller's ([`auth`](super::auth)).
//! Source: docs/spec/usersig.md, checked against its vectors below.

use base64::Engine;
use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use flate2::write::ZlibEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};
use hmac::{Hmac, KeyInit, Mac};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::Sha256;
use std::io::Write;

/// Lifetime when none is asked for, in seconds: 180 days, as the published generators have it.
pub const EXPIRE_SECS_DEFAULT: i64 = 15_552_000;
/// What an encoded UserSig may inflate to. Source: docs/spec/usersig.md 3, step 7.
const INFLATED_BYTES_MAX: usize = 8_192;

/// Padding may be missing: some clients strip it as they do for URLs.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD_ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The text is not a UserSig; the word says which step of docs/spec/usersig.md 3 it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("usersig is malformed: {0}")]
pub struct Malformed(pub &'static str);

/// What a UserSig says, believed only once [`Claims::is_signed_with`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub identifier: String,
    pub app: i64,
    /// Unix seconds.
    pub time: i64,
    /// Seconds from `time`.
    pub expire: i64,
    /// Base64, as it was signed.
    pub userbuf: Option<String>,
    sig: String,
}

/// Signs for an account. The key is used as its UTF-8 bytes, also where it looks like hex.
///
/// `time` is Unix seconds, `expire` seconds from there.
pub fn sign(key: &str, app: u32, identifier: &str, time: u64, expire: i64, userbuf: Option<&[u8]>) -> String {
    let mut claims = Claims {
        identifier: identifier.to_owned(),
        app: i64::from(app),
        time: i64::try_from(time).unwrap_or(i64::MAX),
        expire,
        userbuf: userbuf.map(|bytes| STANDARD.encode(bytes)),
        sig: String::new(),
    };
    claims.sig = STANDARD.encode(claims.mac(key).finalize().into_bytes());
    claims.encode()
}

/// Reads a UserSig without believing it.
///
/// # Errors
/// [`Malformed`]: 70003.
pub fn decode(usersig: &str, bytes_max: usize) -> Result<Claims, Malformed> {
    if usersig.len() > bytes_max {
        return Err(Malformed("too long"));
    }
    let mut standard = Vec::with_capacity(usersig.len());
    for byte in usersig.bytes() {
        standard.push(match byte {
            b'*' => b'+',
            b'-' => b'/',
            b'_' => b'=',
            b if b.is_ascii_alphanumeric() => b,
            _ => return Err(Malformed("a character outside its alphabet")),
        });
    }
    let packed = TOLERANT.decode(&standard).map_err(|_| Malformed("not base64"))?;
    parse(&inflate(&packed)?)
}

fn inflate(packed: &[u8]) -> Result<Vec<u8>, Malformed> {
    // One byte more than is allowed: a text of exactly the allowed length can then be told from a longer one.
    let mut text = Vec::with_capacity(INFLATED_BYTES_MAX + 1);
    let mut zlib = Decompress::new(true);
    let status = zlib.decompress_vec(packed, &mut text, FlushDecompress::Finish);
    let whole = matches!(status, Ok(Status::StreamEnd)) && zlib.total_in() == packed.len() as u64;
    if !whole || text.len() > INFLATED_BYTES_MAX {
        return Err(Malformed("not a complete zlib stream of a sensible size"));
    }
    Ok(text)
}

fn parse(text: &[u8]) -> Result<Claims, Malformed> {
    /// A derived reader refuses a key that comes twice, which is what we want of a signed text.
    #[derive(Deserialize)]
    struct Fields {
        #[serde(rename = "TLS.ver")]
        version: String,
        #[serde(rename = "TLS.identifier")]
        identifier: String,
        #[serde(rename = "TLS.sdkappid")]
        app: Decimal,
        #[serde(rename = "TLS.time")]
        time: Decimal,
        #[serde(rename = "TLS.expire")]
        expire: Decimal,
        #[serde(rename = "TLS.userbuf")]
        userbuf: Option<String>,
        #[serde(rename = "TLS.sig")]
        sig: String,
    }
    // A derived reader would take a list of the fields as well.
    if text.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Malformed("not a JSON object"));
    }
    let fields: Fields =
        serde_json::from_slice(text).map_err(|_| Malformed("its fields are not those of a usersig"))?;
    if fields.version != "2.0" {
        return Err(Malformed("not version 2.0"));
    }
    // The text that is signed has no escapes: with a line feed in the userbuf, a signature made for a name of several
    // lines would also be that of the name in its first line. Names of several lines are refused as identifiers.
    if fields.userbuf.as_ref().is_some_and(|userbuf| userbuf.contains('\n')) {
        return Err(Malformed("its userbuf is not base64"));
    }
    Ok(Claims {
        identifier: fields.identifier,
        app: fields.app.0,
        time: fields.time.0,
        expire: fields.expire.0,
        userbuf: fields.userbuf,
        sig: fields.sig,
    })
}

impl Claims {
    /// Whether the signature is that of the key; takes the same time wherever it differs.
    pub fn is_signed_with(&self, key: &str) -> bool {
        STANDARD.decode(&self.sig).is_ok_and(|sig| self.mac(key).verify_slice(&sig).is_ok())
    }

    /// The signed text: each line ends in one LF, the last line only exists with a userbuf.
    fn text(&self) -> String {
        let Self { identifier, app, time, expire, userbuf, .. } = self;
        let mut text =
            format!("TLS.identifier:{identifier}\nTLS.sdkappid:{app}\nTLS.time:{time}\nTLS.expire:{expire}\n");
        if let Some(userbuf) = userbuf {
            text.push_str(&format!("TLS.userbuf:{userbuf}\n"));
        }
        text
    }

    fn mac(&self, key: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(key.as_bytes()).expect("an HMAC takes keys of any length");
        mac.update(self.text().as_bytes());
        mac
    }

    fn encode(&self) -> String {
        let mut json = serde_json::json!({
            "TLS.ver": "2.0",
            "TLS.identifier": self.identifier,
            "TLS.sdkappid": self.app,
            "TLS.time": self.time,
            "TLS.expire": self.expire,
            "TLS.sig": self.sig,
        });
        if let Some(userbuf) = &self.userbuf {
            json["TLS.userbuf"] = userbuf.as_str().into();
        }
        pack(json.to_string().as_bytes())
    }
}

fn pack(text: &[u8]) -> String {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    let packed = zlib.write_all(text).and_then(|()| zlib.finish()).expect("writing to memory does not fail");
    spell(&packed)
}

fn spell(packed: &[u8]) -> String {
    // Not RFC 4648: there '-' means '+' and '_' means '/'.
    let substitute = |c| match c {
        '+' => '*',
        '/' => '-',
        '=' => '_',
        other => other,
    };
    STANDARD.encode(packed).chars().map(substitute).collect()
}

/// A number, or its decimal digits in a string: some generators quote it.
struct Decimal(i64);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DecimalVisitor;
        impl Visitor<'_> for DecimalVisitor {
            type Value = Decimal;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an integer")
            }

            fn visit_i64<E: Error>(self, n: i64) -> Result<Decimal, E> {
                Ok(Decimal(n))
            }

            fn visit_u64<E: Error>(self, n: u64) -> Result<Decimal, E> {
                i64::try_from(n).map(Decimal).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Decimal, E> {
                // `parse` alone would take a leading plus.
                if text.starts_with('+') {
                    return Err(E::custom("a sign"));
                }
                text.parse().map(Decimal).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(DecimalVisitor)
    }
}

#[cfg(any(test, fuzzing))]
pub mod fuzzing;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const K1: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
    pub(crate) const V1: &str = "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDiJZm5YFFzNPXFmekgG3zKHM1T9D3LzdODi-OKs8vCqpxcAvydnV2SSv2cy03cPcpDnA2SMgu0nUxslWoBHdYzUg__";
    pub(crate) const V5: &str = "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDiJZm5YFFzNPWlxalFSaVpIFsiw72y4FZkpoOEArNCjAwMKwKyI7L1E30NU7UrDcoSs6OSDLyNMgOK3EpTtbUNik0rzZLcfG2VagHdkjl6";

    struct Vector {
        app: u32,
        key: &'static str,
        identifier: &'static str,
        expire: i64,
        time: u64,
        userbuf: Option<&'static [u8]>,
        sig: &'static str,
        usersig: &'static str,
    }

    const A64: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const ROOM: &[u8] = b"\x00\x00\x07xiaojunSrN\x00\x00\x00\x27\x10\x65\x55\x42\x80\x00\x00\x00\xff\x00\x00\x00\x00";

    /// V1 to V8 of docs/spec/usersig.md 6.
    const VECTORS: [Vector; 8] = [
        Vector {
            app: 1_400_000_000,
            key: K1,
            identifier: "xiaojun",
            expire: 15_552_000,
            time: 1_700_000_000,
            userbuf: None,
            sig: "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4=",
            usersig: V1,
        },
        Vector {
            app: 1_400_000_000,
            key: K1,
            identifier: "xiaojun",
            expire: 15_552_000,
            time: 1_700_000_000,
            userbuf: None,
            sig: "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4=",
            usersig: "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwhWZiflZpXlQqeKU7MSCgswUJStDEwMogMiUZOamKlkZmqOKplYUZBaBxE1NTY3gosWZ6UpWSj5ljuYp*p7l5unBxXnF2WVhVU4uAf7Ozi5JpX7O5SbuHuUhzgZJmQXaTia2SrUAohcx8g__",
        },
        Vector {
            app: 20_000_001,
            key: "not-a-hex-key: any UTF-8 string",
            identifier: "administrator",
            expire: 86_400,
            time: 1_735_689_600,
            userbuf: None,
            sig: "2WZL4D1nU/+YdwEyzAqaiCeF6WD/Mn43koWzqLWUjZ0=",
            usersig: "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkElNyM-Myi0uKEkvyi2BKilOyEwsKMlOACowMwMAQKpNaUZBZlAoUtzAzMTCACpZk5oKEDM2NTc0sLM3g4sWZ6WC7w6N8TFwM80L1tSNTyl0rqxwLEzOdU93Mwl30ffNMjLPzw6sKfcJDs6IMbJVqAeQvNM8_",
        },
        Vector {
            app: 88_888_888,
            key: A64,
            identifier: "user_01-AB",
            expire: 604_800,
            time: 1_767_225_600,
            userbuf: None,
            sig: "0BWshcqqHLVegGtS/dofeff8WRJTD5FSTPjryMHkOSk=",
            usersig: "eJw1yV0LgjAUxvHvcq7LpuQLgy6SKAmjaCMvJdqZnaSam0URffdA7bn7-54PyFx4T7TAIfAYjLomhbeWNHX8cGhL5o-n6fA6VR*NIQU8GdZ7S1cE7sdRHARhxFiv*DJkEXjEpsnfHFXAgaWFO5*aJssPWK1aMVF3jVonxX4tF*FSyN3FvjdZvRX1DL4-aEUyaQ__",
        },
        Vector {
            app: 1_400_000_000,
            key: K1,
            identifier: "xiaojun",
            expire: 15_552_000,
            time: 1_700_000_000,
            userbuf: Some(b"abc"),
            sig: "QjT201xPkXk/aM1e+y0vakZb0K2iPrFue++0s5y6bFM=",
            usersig: V5,
        },
        Vector {
            app: 1_400_000_000,
            key: K1,
            identifier: "xiaojun",
            expire: 86_400,
            time: 1_700_000_000,
            userbuf: Some(ROOM),
            sig: "m5WPLBP4ZpMhjE/+GSzmHQEKbLMxsvWih1uhJTQ0sPw=",
            usersig: "eJxVjU0LgkAYhP-Ley3KDStZ6LCFKKWhKArdMtf2NbXFr6zov0elh*YwzDxzmCf4ljdpeQkUZhMFxt*OMS9qTPCLOzxe06bopyq*HKXEGChRlV6-pcacAyXLf8o7iSUHqi3UATUVL6MmAQqMMZMbmYhmkkTZ-u6fGWObk3sIgs0nMkf7OBu*8QwU8nnoWGtHPUhbpPp0ZHiP3HT1XWTZXdWGKEgjtr6rVM5tBa83*kRDAg__",
        },
        Vector {
            app: 1_400_000_000,
            key: K1,
            identifier: "张三",
            expire: 3_600,
            time: 1_700_000_000,
            userbuf: None,
            sig: "8h492aE6MBi5vu17Qm014Da3y/AifzXS3qNiKbn+/So=",
            usersig: "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkYkpN04wMYkpNUg0sYSqKU7ITCwoyU4DyhiYGUACVS60oyCxKBcoYm8HFSjJzQSKG5mhqizPTQVZYZJhYGiW6mvk6ZZqWlRqaB*YaGJq4JBpX6jtmplVFBBsX*mV6J*Vp6wfn2yrVAgDbTjIz",
        },
        Vector {
            app: 1_400_000_000,
            key: K1,
            identifier: "张三",
            expire: 3_600,
            time: 1_700_000_000,
            userbuf: None,
            sig: "8h492aE6MBi5vu17Qm014Da3y/AifzXS3qNiKbn+/So=",
            usersig: "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwk-3LHiyoxMqU5ySnVhQkJmiZGVoYgAFEJmSzNxUJStDc1TR1IqCzKJUJStjM5hIcWa6kpWSRYaJpVGiq5mvU6ZpWamheWCugaGJS6Jxpb5jZlpVRLBxoV*md1Ketn5wvq1SLQB0uDGY",
        },
    ];

    #[test]
    fn every_vector_verifies_and_signs_alike() {
        for (i, v) in VECTORS.iter().enumerate() {
            let of_vector = format!("V{}", i + 1);
            let claims = decode(v.usersig, 4096).expect(&of_vector);
            assert!(claims.is_signed_with(v.key), "{of_vector}");
            assert!(!claims.is_signed_with("another key"), "{of_vector}");

            let expected = Claims {
                identifier: v.identifier.to_owned(),
                app: i64::from(v.app),
                time: v.time as i64,
                expire: v.expire,
                userbuf: v.userbuf.map(|bytes| STANDARD.encode(bytes)),
                sig: v.sig.to_owned(),
            };
            assert_eq!(claims, expected, "{of_vector}");
            // Serialisations and compressors differ, the decoded fields do not.
            let ours = sign(v.key, v.app, v.identifier, v.time, v.expire, v.userbuf);
            assert_eq!(decode(&ours, 4096).expect(&of_vector), expected, "{of_vector}");
            assert!(ours.starts_with("eJ"), "a zlib stream of level 6 begins 78 9C");
        }
    }

    pub(crate) fn repack(usersig: &str, change: impl FnOnce(String) -> String) -> String {
        let standard: String = usersig
            .chars()
            .map(|c| match c {
                '*' => '+',
                '-' => '/',
                '_' => '=',
                c => c,
            })
            .collect();
        let text = inflate(&STANDARD.decode(standard).unwrap()).unwrap();
        pack(change(String::from_utf8(text).unwrap()).as_bytes())
    }

    #[test]
    fn what_is_not_a_usersig_is_malformed() {
        let rfc4648 = {
            let packed = TOLERANT.decode(V1.replace('*', "+").replace('-', "/").replace('_', "=")).unwrap();
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(packed)
        };
        let with = |change: &dyn Fn(String) -> String| repack(V1, change);
        let cases = [
            ("cut", V1[..V1.len() - 20].to_owned()),
            ("another alphabet", rfc4648),
            ("a plus", V1.replacen('-', "+", 1)),
            ("a space", format!("{V1} ")),
            ("nothing inside", String::new()),
            ("too long", "A".repeat(4_097)),
            ("a list", pack(b"[\"2.0\",\"x\",1,1,1,null,\"s\"]")),
            ("a bomb", pack(&vec![b' '; 1 << 20])),
            ("inflates past the cap", with(&|t| format!("{t}{}", " ".repeat(INFLATED_BYTES_MAX)))),
            ("another version", with(&|t| t.replace("\"2.0\"", "\"1.0\""))),
            ("no signature", with(&|t| t.replace("TLS.sig", "TLS.gis"))),
            ("a fraction", with(&|t| t.replace("15552000", "15552000.5"))),
            ("a number too large", with(&|t| t.replace("15552000", "99999999999999999999"))),
            ("a key twice", with(&|t| t.replace("{", "{\"TLS.expire\": 1, "))),
            ("text behind", with(&|t| t + "x")),
            ("not UTF-8", pack(b"{\"TLS.ver\":\"\xff\"}")),
        ];
        for (what, usersig) in cases {
            assert!(decode(&usersig, 4096).is_err(), "{what}");
        }
    }

    #[test]
    fn what_generators_vary_is_accepted() {
        let unpadded = V1.trim_end_matches('_');
        let quoted = repack(V1, |t| t.replace("1400000000", "\"1400000000\"").replace("15552000", "\"15552000\""));
        let extended = repack(V1, |t| t.replace('{', "{\"TLS.more\": [1], "));
        for usersig in [unpadded, &quoted, &extended] {
            assert!(decode(usersig, 4096).unwrap().is_signed_with(K1));
        }
    }

    /// Whoever may choose the name that an app server signs for could otherwise become somebody else.
    #[test]
    fn a_signature_for_a_name_of_several_lines_is_nobody_elses() {
        let ours = "\nTLS.sdkappid:1400000000\nTLS.time:1700000000\nTLS.expire:60";
        let lines = "TLS.sdkappid:1400000000\nTLS.time:1700000000\nTLS.expire:999999999\nTLS.userbuf:";
        let signed = sign(K1, 1_400_000_000, &format!("root\n{lines}"), 1_700_000_000, 60, None);
        let mut forged = Claims {
            identifier: "root".to_owned(),
            expire: 999_999_999,
            userbuf: Some(ours.to_owned()),
            ..decode(&signed, 4096).unwrap()
        };
        assert!(forged.is_signed_with(K1), "the two have one text to sign");
        assert_eq!(decode(&forged.encode(), 4096), Err(Malformed("its userbuf is not base64")));
        forged.userbuf = Some("YWJj".to_owned());
        assert_eq!(decode(&forged.encode(), 4096), Ok(forged));
    }

    #[test]
    fn nothing_signed_can_be_changed() {
        let stripped = repack(V5, |t| t.replace(", \"TLS.userbuf\": \"YWJj\"", ""));
        let later = repack(V1, |t| t.replace("15552000", "15552001"));
        let no_base64 = repack(V1, |t| t.replace("LvA7d/", "#"));
        for usersig in [stripped, later, no_base64] {
            assert!(!decode(&usersig, 4096).unwrap().is_signed_with(K1));
        }
    }
}
