//! Codes that mean the same wherever they are answered. Source: docs/spec/errors.md.

/// What any command may be refused with.
pub const COMMON: &[(u32, &str)] = &[
    (10002, "an internal error; if the text begins `outcome unknown:`, the change may have been made"),
    (10003, "this service has no such command"),
    (10004, "a field is missing, of the wrong type, too long or has a value that is not allowed; the text names it"),
    (60002, "not POST, or the address line cannot be read"),
    (60003, "the body is not a JSON object, or larger than {http.max_request_bytes bytes}"),
    (60004, "`identifier` cannot be the name of an account"),
    (60007, "more calls of this command per second than `rate.rest_per_command`"),
    (60008, "no answer in time, and nothing was done"),
    (60009, "there is no such service"),
    (60010, "`identifier` is not an administrator of the app"),
    (60011, "more calls of the app per second than `rate.rest_per_app`"),
    (60012, "`sdkappid` is missing"),
    (60015, "an account is not a string"),
    (60016, "the app is disabled"),
    (60018, "the node has too much to do, or its disk takes no writes (the text says which), and nothing was done"),
    (60025, "a parameter of the address line is missing or malformed"),
    (70001, "the signature has expired"),
    (70002, "the signature is empty"),
    (70003, "the signature cannot be decoded, or begins in the future"),
    (70009, "the signature was made with another key"),
    (70013, "the signature is that of another account"),
    (70014, "the signature is for another app"),
    (70016, "the app has no key to verify with"),
    (70020, "there is no such app"),
    (70050, "too many signatures failed; wait a minute"),
];

/// What a command that addresses a group by its `GroupId` may be refused with besides.
pub const OF_A_GROUP: &[(u32, &str)] =
    &[(10010, "the group does not exist or was disbanded"), (10015, "the `GroupId` is malformed")];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::about::prose;

    #[test]
    fn the_tables_are_in_order_and_their_settings_exist() {
        assert!(COMMON.is_sorted_by_key(|(code, _)| *code) && OF_A_GROUP.is_sorted_by_key(|(code, _)| *code));
        assert!(COMMON.iter().all(|(_, why)| !prose(why).contains('{')));
    }
}
