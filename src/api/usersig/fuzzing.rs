//! What the fuzzer of the UserSig calls; see [`crate::api::fuzzing`].

use super::*;

/// Longer names and keys say nothing new, and the signature must fit what may be decoded.
const NAME_BYTES_MAX: usize = 512;

/// Reads a UserSig from one of its layers, or signs and reads that; the first byte says which.
///
/// `t`: the text itself. `z`: what it is the base64 of. `j`: the JSON inside. Anything else: see [`Signing::of`].
///
/// # Panics
/// If a promise of [`decode`] or of [`Claims::is_signed_with`] is broken.
pub fn usersig(data: &[u8]) {
    let Some((layer, rest)) = data.split_first() else { return };
    match layer {
        b't' => check_decode(&String::from_utf8_lossy(rest)),
        b'z' => check_decode(&spell(rest)),
        b'j' => check_decode(&pack(rest)),
        _ => {
            if let Some(signing) = Signing::of(rest) {
                signing.check();
            }
        }
    }
}

/// Decoding gives the same twice, stays within its bounds, and what is decoded can be signed and read again.
fn check_decode(usersig: &str) {
    let outcome = decode(usersig, usersig.len());
    assert_eq!(outcome, decode(usersig, usersig.len()), "the same text, decoded twice");
    assert!(usersig.is_empty() || decode(usersig, usersig.len() - 1) == Err(Malformed("too long")));
    if let Ok(packed) = TOLERANT.decode(standard(usersig))
        && let Ok(text) = inflate(&packed)
    {
        assert!(text.len() <= INFLATED_BYTES_MAX && text.capacity() <= 2 * INFLATED_BYTES_MAX, "{}", text.capacity());
    }
    let Ok(claims) = outcome else { return };
    assert_eq!(decode(&claims.encode(), usize::MAX), Ok(claims.clone()), "decoded, encoded and decoded");
    // An identifier of more than one line is nobody's; for all others each field has a line of its own, or one signature
    // would be that of other fields, too.
    let lines = 4 + usize::from(claims.userbuf.is_some());
    let is_somebodys = !claims.identifier.contains('\n');
    assert!(!is_somebodys || claims.text().matches('\n').count() == lines, "ambiguous when signed: {claims:?}");
}

fn standard(usersig: &str) -> String {
    usersig.replace('*', "+").replace('-', "/").replace('_', "=")
}

/// What is to be signed, and which byte of it is then damaged.
#[derive(Debug)]
struct Signing<'a> {
    app: u32,
    time: u64,
    expire: i64,
    place: usize,
    damage: u8,
    key: &'a str,
    identifier: &'a str,
    userbuf: Option<&'a [u8]>,
}

impl<'a> Signing<'a> {
    /// Numbers of a fixed size, then key, identifier and perhaps a userbuf, parted by a byte that UTF-8 does not have.
    fn of(data: &'a [u8]) -> Option<Self> {
        let (app, data) = data.split_first_chunk()?;
        let (time, data) = data.split_first_chunk()?;
        let (expire, data) = data.split_first_chunk()?;
        let (place, data) = data.split_first_chunk()?;
        let (damage, data) = data.split_first()?;
        let mut texts = data.splitn(3, |byte| *byte == 0xff);
        let signing = Self {
            app: u32::from_le_bytes(*app),
            time: u64::from_le_bytes(*time),
            expire: i64::from_le_bytes(*expire),
            place: usize::from(u16::from_le_bytes(*place)),
            damage: (*damage).max(1),
            key: std::str::from_utf8(texts.next()?).ok()?,
            identifier: std::str::from_utf8(texts.next()?).ok()?,
            userbuf: texts.next(),
        };
        (data.len() <= NAME_BYTES_MAX).then_some(signing)
    }

    fn check(&self) {
        let usersig = sign(self.key, self.app, self.identifier, self.time, self.expire, self.userbuf);
        let claims = decode(&usersig, usersig.len()).expect("what was signed can be decoded");
        let said = (claims.identifier.as_str(), claims.app, claims.expire);
        assert_eq!(said, (self.identifier, i64::from(self.app), self.expire));
        assert_eq!(claims.time, i64::try_from(self.time).unwrap_or(i64::MAX));
        assert_eq!(claims.userbuf, self.userbuf.map(|bytes| STANDARD.encode(bytes)));
        assert!(claims.is_signed_with(self.key));
        assert!(!claims.is_signed_with(&format!("{}x", self.key)), "any key will do");

        // The same claims may be spelt otherwise; others must not verify.
        let may_pass = |outcome: Result<Claims, Malformed>| match outcome {
            Ok(other) => !other.is_signed_with(self.key) || other == claims,
            Err(_) => true,
        };
        let damaged = self.damaged(usersig.as_bytes());
        assert!(may_pass(decode(&String::from_utf8_lossy(&damaged), usize::MAX)), "a damaged text verifies");
        let packed = TOLERANT.decode(standard(&usersig)).expect("what was signed is base64");
        assert!(may_pass(decode(&spell(&self.damaged(&packed)), usize::MAX)), "damaged bytes verify");
        let text = inflate(&packed).expect("what was signed can be inflated");
        assert!(may_pass(decode(&pack(&self.damaged(&text)), usize::MAX)), "damaged JSON verifies");
    }

    fn damaged(&self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        damaged[self.place % bytes.len()] ^= self.damage;
        damaged
    }
}
