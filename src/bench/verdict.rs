//! Whether an answer says that the operation was done.
//!
//! Looks for a few marks instead of parsing: the driver shares its processor with the servers.

use super::request::Call;

const CODE: &[u8] = br#""ErrorCode":"#;
const FAILED_MEMBER: &[u8] = br#""Result":0"#;

/// The code that promises that nothing happened, because there is too much to do. Source: docs/spec/errors.md.
const OVERLOADED: u64 = 60018;

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// The server has too much to do and did nothing.
    Refused,
    Failed,
}

/// Tells what the server made of what was asked.
pub fn of(call: Call, status: u16, body: &[u8]) -> Verdict {
    if is_done(call, status, body) {
        Verdict::Done
    } else if status == 200 && code(body) == Some(OVERLOADED) {
        Verdict::Refused
    } else {
        Verdict::Failed
    }
}

/// Tells whether the server did what was asked.
///
/// Stricter than the code of the whole answer: a profile that was not found and a member that was
/// not added are failures, although the call succeeded.
///
/// Source: docs/spec/rest-api.md 4.4 (code per group) and 4.7 (result per member).
pub fn is_done(call: Call, status: u16, body: &[u8]) -> bool {
    if status != 200 || code(body) != Some(0) {
        return false;
    }
    match call {
        // The code of the one group asked for is the second in the answer.
        Call::Profile => after(body, CODE).and_then(code).is_none_or(|code| code == 0),
        Call::Join => after(body, FAILED_MEMBER).is_none(),
        _ => true,
    }
}

/// The first `ErrorCode` of an answer.
pub fn code(body: &[u8]) -> Option<u64> {
    let digits = after(body, CODE)?;
    let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    str::from_utf8(&digits[..count]).ok()?.parse().ok()
}

/// What follows the first occurrence of `mark`.
fn after<'a>(body: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let place = body.windows(mark.len()).position(|window| window == mark)?;
    Some(&body[place + mark.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &[u8] = br#"{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}"#;

    #[test]
    fn status_and_code_must_both_be_good() {
        assert!(is_done(Call::Create, 200, OK));
        assert!(!is_done(Call::Create, 503, OK));
        assert!(!is_done(Call::Create, 200, br#"{"ActionStatus":"FAIL","ErrorInfo":"","ErrorCode":10021}"#));
        assert!(!is_done(Call::Create, 200, b""));
        assert!(!is_done(Call::Create, 200, br#"{"ErrorCode":}"#));
    }

    #[test]
    fn a_refusal_as_overload_is_neither_done_nor_failed() {
        let answer = |code: u32| format!(r#"{{"ActionStatus":"FAIL","ErrorInfo":"x","ErrorCode":{code}}}"#);
        assert_eq!(of(Call::Create, 200, answer(60018).as_bytes()), Verdict::Refused);
        assert_eq!(of(Call::Create, 503, answer(60018).as_bytes()), Verdict::Failed);
        assert_eq!(of(Call::Create, 200, answer(60008).as_bytes()), Verdict::Failed);
        assert_eq!(of(Call::Create, 200, OK), Verdict::Done);
    }

    #[test]
    fn a_profile_that_was_not_found_is_a_failure() {
        let found = br#"{"ErrorCode":0,"GroupInfo":[{"GroupId":"g","ErrorCode":0}]}"#;
        let missing = br#"{"ErrorCode":0,"GroupInfo":[{"GroupId":"g","ErrorCode":10010}]}"#;
        assert!(is_done(Call::Profile, 200, found));
        assert!(!is_done(Call::Profile, 200, missing));
        assert!(is_done(Call::Profile, 200, OK));
    }

    #[test]
    fn a_member_that_was_not_added_is_a_failure() {
        let added =
            br#"{"ErrorCode":0,"MemberList":[{"Member_Account":"h1","Result":1},{"Member_Account":"h2","Result":2}]}"#;
        let refused =
            br#"{"ErrorCode":0,"MemberList":[{"Member_Account":"h1","Result":1},{"Member_Account":"h2","Result":0}]}"#;
        assert!(is_done(Call::Join, 200, added));
        assert!(!is_done(Call::Join, 200, refused));
    }
}
