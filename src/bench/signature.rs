//! Who the harness says it is: the query of every request, and a forged version of it.

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// Lifetime of the signatures made here: longer than any run.
const LIFETIME_SECS: u64 = 24 * 60 * 60;
/// Largest inflated signature. Source: docs/spec/usersig.md 3, step 7.
const INFLATED_BYTES_MAX: u64 = 8192;

/// Makes the UserSig of `user`, issued at `now_secs` (Unix seconds).
///
/// Source: docs/spec/usersig.md 2.
pub fn sign(app: u32, user: &str, key: &str, now_secs: u64) -> String {
    let signed =
        format!("TLS.identifier:{user}\nTLS.sdkappid:{app}\nTLS.time:{now_secs}\nTLS.expire:{LIFETIME_SECS}\n");
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of every length");
    mac.update(signed.as_bytes());
    encode(&json!({
        "TLS.ver": "2.0",
        "TLS.identifier": user,
        "TLS.sdkappid": app,
        "TLS.time": now_secs,
        "TLS.expire": LIFETIME_SECS,
        "TLS.sig": STANDARD.encode(mac.finalize().into_bytes()),
    }))
}

/// Changes a UserSig so that only a server that checks the keyed hash notices.
///
/// What is no UserSig loses its last character.
pub fn forge(usersig: &str) -> String {
    let forged = decode(usersig).and_then(|mut fields| {
        let hash = fields.get("TLS.sig")?.as_str()?;
        // Another first character is another hash: it carries six bits.
        let other = if hash.starts_with('A') { 'B' } else { 'A' };
        let changed = format!("{other}{}", hash.get(1..)?);
        fields["TLS.sig"] = Value::String(changed);
        Some(encode(&fields))
    });
    forged.unwrap_or_else(|| {
        let mut shorter = usersig.to_owned();
        shorter.pop();
        shorter
    })
}

/// Replaces the value of `usersig` in a query by its forged version; `None` if there is none.
pub fn forge_query(query: &str) -> Option<String> {
    let mut found = false;
    let forged: Vec<String> = query
        .split('&')
        .map(|parameter| match parameter.strip_prefix("usersig=") {
            Some(usersig) => {
                found = true;
                format!("usersig={}", forge(usersig))
            }
            None => parameter.to_owned(),
        })
        .collect();
    found.then(|| forged.join("&"))
}

fn encode(fields: &Value) -> String {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(fields.to_string().as_bytes()).expect("a vector takes every byte");
    let compressed = zlib.finish().expect("a vector takes every byte");
    STANDARD.encode(compressed).replace('+', "*").replace('/', "-").replace('=', "_")
}

fn decode(usersig: &str) -> Option<Value> {
    let compressed = STANDARD.decode(usersig.replace('*', "+").replace('-', "/").replace('_', "=")).ok()?;
    let mut text = String::new();
    ZlibDecoder::new(&compressed[..]).take(INFLATED_BYTES_MAX).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vector V1 of docs/spec/usersig.md 6.
    const V1: &str = "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkKjIT87NK82CSxSnZiQUFmSlAKUMTAyiAyqVWFGQWpYJkTE1NjRDiJZm5YFFzNPXFmekgG3zKHM1T9D3LzdODi-OKs8vCqpxcAvydnV2SSv2cy03cPcpDnA2SMgu0nUxslWoBHdYzUg__";
    /// Key K1 of the same section.
    const K1: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";

    fn hash(key: &str, text: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any key");
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }

    #[test]
    fn a_signature_decodes_to_what_was_signed() {
        let fields = decode(&sign(1_400_000_000, "xiaojun", K1, 1_700_000_000)).expect("it decodes");
        assert_eq!(fields["TLS.identifier"], "xiaojun");
        assert_eq!(fields["TLS.sdkappid"], 1_400_000_000);
        assert_eq!(fields["TLS.time"], 1_700_000_000);
        assert_eq!(fields["TLS.expire"], LIFETIME_SECS);
        let text = "TLS.identifier:xiaojun\nTLS.sdkappid:1400000000\nTLS.time:1700000000\nTLS.expire:86400\n";
        assert_eq!(fields["TLS.sig"], hash(K1, text));
    }

    #[test]
    fn the_keyed_hash_is_that_of_the_vendors_generators() {
        let text = "TLS.identifier:xiaojun\nTLS.sdkappid:1400000000\nTLS.time:1700000000\nTLS.expire:15552000\n";
        assert_eq!(hash(K1, text), "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4=");
    }

    #[test]
    fn a_forged_signature_differs_in_the_hash_alone() {
        let genuine = sign(1_400_000_000, "xiaojun", K1, 1_700_000_000);
        let mut forged = decode(&forge(&genuine)).expect("it still decodes");
        let mut genuine = decode(&genuine).expect("it decodes");
        assert_ne!(forged["TLS.sig"], genuine["TLS.sig"]);
        forged["TLS.sig"] = Value::Null;
        genuine["TLS.sig"] = Value::Null;
        assert_eq!(forged, genuine);
    }

    #[test]
    fn what_is_no_signature_is_cut() {
        assert_eq!(forge("xxx"), "xx");
        assert_ne!(forge(V1), V1);
    }

    #[test]
    fn only_the_signature_of_a_query_changes() {
        assert_eq!(forge_query("sdkappid=1&usersig=xxx&random=1").as_deref(), Some("sdkappid=1&usersig=xx&random=1"));
        assert_eq!(forge_query("sdkappid=1&identifier=a"), None);
    }
}
