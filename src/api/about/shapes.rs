//! Objects and fields that several commands share. Source: docs/spec/rest-api.md 3.

use super::{Field, Is, Limit, SECONDS, Shape, TEXTS, U32, U64, optional, required};

/// Types of group as a request may name them: the names of today and the old ones.
pub const KINDS: Is = Is::Word(&["Work", "Private", "Public", "Meeting", "ChatRoom", "AVChatRoom", "Community"]);
/// Types as a list may be filtered by; the last is retired and matches nothing.
pub const KINDS_LISTED: Is =
    Is::Word(&["Work", "Private", "Public", "Meeting", "ChatRoom", "AVChatRoom", "Community", "BChatRoom"]);
pub const SWITCH: Is = Is::Word(&["On", "Off"]);
pub const APPLY_JOIN: Is = Is::Word(&["FreeAccess", "NeedPermission", "DisableApply"]);
pub const INVITE_JOIN: Is = Is::Word(&["FreeAccess", "NeedPermission", "DisableInvite"]);
pub const ROLES: Is = Is::Word(&["Owner", "Admin", "Member"]);
/// Those that can be given: an owner is made by a transfer.
pub const ROLES_GIVEN: Is = Is::Word(&["Admin", "Member"]);
pub const MSG_FLAGS: Is = Is::Word(&["AcceptAndNotify", "AcceptNotNotify", "Discard", "AcceptNotNotifyExceptAt"]);

pub const GROUP_ID: Field = required("GroupId", Is::GroupId, "the group");
pub const MEMBER_ACCOUNT: Field = required("Member_Account", Is::Account, "the account");
pub const TOPIC_ID: Field =
    optional("TopicId", Is::TopicId, "a topic of the group; no group has topics yet, so this is refused");
pub const FROM_ACCOUNT: Field =
    optional("From_Account", Is::Account, "who is shown as the operator to others; rights stay those of the caller")
        .default("the caller");

/// A custom field in an answer.
pub const CUSTOM_FIELD: Shape = Shape::named(
    "CustomField",
    "A custom field as it is.",
    &[
        required("Key", Is::Text, "its key"),
        required("Value", Is::Text, "its value; \"\" if a declared field is unset"),
    ],
);

/// A custom field in a request.
pub const CUSTOM_VALUE: Shape = Shape::named(
    "CustomValue",
    "A custom field to set. Keys are of the letters, digits and `_`, at most {limits.custom_key_bytes bytes}. Values \
     are at most {limits.group_custom_value_bytes bytes} for groups and {limits.member_custom_value_bytes} for members.",
    &[
        required("Key", Is::Text, "its key; it must be declared unless `custom_fields.open` is on"),
        optional("Value", Is::Scalar, "its new value; \"\" deletes the field").default("\"\""),
    ],
);
pub const CUSTOM_FIELDS: Is = Is::List(&Is::Object(&CUSTOM_FIELD));
pub const CUSTOM_VALUES: Is = Is::List(&Is::Object(&CUSTOM_VALUE));

pub const GROUP_CUSTOM: Field = optional("AppDefinedData", CUSTOM_VALUES, "custom fields of the group");
pub const MEMBER_CUSTOM: Field = optional("AppMemberDefinedData", CUSTOM_VALUES, "custom fields of the member");

pub const GROUP_FIELDS: Shape = Shape::named(
    "GroupFields",
    "The fields of a group. `GroupBaseInfoFilter` takes their names.",
    &[
        optional("Type", KINDS, "the type, under its old name unless `wire.legacy_type_names` is off"),
        optional("Name", Is::Text, "the name"),
        optional("Introduction", Is::Text, "what the group is about"),
        optional("Notification", Is::Text, "the announcement"),
        optional("FaceUrl", Is::Text, "the address of a picture"),
        optional("Owner_Account", Is::Account, "the owner; \"\" if there is none"),
        optional("CreateTime", SECONDS, "when it was created, Unix seconds"),
        optional("InfoSeq", U64, "grows by 1 with every change of the profile"),
        optional("LastInfoTime", SECONDS, "when profile or members last changed, Unix seconds"),
        optional("LastMsgTime", SECONDS, "when the last message came, Unix seconds; 0 if none did"),
        optional("NextMsgSeq", U64, "the number that the next message will get"),
        optional("MemberNum", U32, "how many members it has"),
        optional("MaxMemberNum", U32, "how many members it may have; 0: any number"),
        optional("OnlineMemberNum", U32, "always 0: this version keeps no sessions"),
        optional("ApplyJoinOption", APPLY_JOIN, "what becomes of who applies"),
        optional("InviteJoinOption", INVITE_JOIN, "what becomes of who is invited"),
        optional("MuteAllMember", SWITCH, "whether only owner and admins may speak"),
        optional(
            "ShutUpAllMember",
            SWITCH,
            "older name of `MuteAllMember`; there if named, or `compat.legacy_mute_names` is on",
        ),
        optional("SupportTopic", super::FLAG, "communities: whether it has topics"),
        optional("EnablePermission", super::FLAG, "communities with topics: whether permission groups decide"),
        optional("DefaultPermission", U64, "with `EnablePermission` 1: what everybody may, as bits"),
    ],
);

pub const MEMBER_FIELDS: Shape = Shape::named(
    "MemberFields",
    "The fields of a member. `MemberInfoFilter` and `SelfInfoFilter` take their names.",
    &[
        optional("Role", ROLES, "the role"),
        optional("JoinTime", SECONDS, "when it joined, Unix seconds"),
        optional("MsgSeq", U64, "the number of the last message it has read"),
        optional("MsgFlag", MSG_FLAGS, "how it wants to receive messages"),
        optional("LastSendMsgTime", SECONDS, "when it last sent a message, Unix seconds; 0 if never"),
        optional("NameCard", Is::Text, "what it is called in this group"),
        optional("MuteUntil", SECONDS, "until when it is muted, Unix seconds; 0 if it is not, 4294967295 for ever"),
        optional(
            "ShutUpUntil",
            SECONDS,
            "older name of `MuteUntil`; there if named, or `compat.legacy_mute_names` is on",
        ),
        optional(
            "OnlineStatus",
            Is::Word(&["Online", "Offline"]),
            "only if a filter names it; always `Offline` in this version",
        ),
        optional("AppMemberDefinedData", CUSTOM_FIELDS, "its custom fields; left out if there is none"),
    ],
);

/// A member in a list.
pub const MEMBER: Shape = Shape::named("Member", "A member of a group.", &[MEMBER_ACCOUNT]).with(&[&MEMBER_FIELDS]);

const MEMBER_CUSTOM_FILTER: Field =
    optional("AppDefinedDataFilter_GroupMember", TEXTS, "keys of custom fields of members; no others are answered");

pub const MEMBER_INFO_FILTER: Field = optional(
    "MemberInfoFilter",
    TEXTS,
    "names of [MemberFields](#memberfields); `Account` stands for `Member_Account`",
);
pub const GROUP_BASE_FILTER: Field = optional("GroupBaseInfoFilter", TEXTS, "names of [GroupFields](#groupfields)");

/// What requests for members may be narrowed by.
pub const MEMBER_FILTERS: Shape = Shape::named(
    "MemberFilters",
    "What is answered of members, and of which.",
    &[
        MEMBER_INFO_FILTER.default("all"),
        optional("MemberRoleFilter", Is::List(&ROLES), "only members of these roles").default("all"),
        MEMBER_CUSTOM_FILTER.default("all, if `MemberInfoFilter` is absent or names `AppMemberDefinedData`"),
    ],
);

/// The response filter of `get_group_info`.
pub const GROUP_FILTER: Shape = Shape::named(
    "GroupFilter",
    "What is answered of groups.",
    &[
        GROUP_BASE_FILTER.default("all"),
        MEMBER_INFO_FILTER.default("no members"),
        optional("AppDefinedDataFilter_Group", TEXTS, "keys of custom fields of the group; no others are answered")
            .default("none"),
        MEMBER_CUSTOM_FILTER.default("none, unless `MemberInfoFilter` names `AppMemberDefinedData`"),
    ],
);

/// The response filter of `get_joined_group_list`.
pub const JOINED_FILTER: Shape = Shape::named(
    "JoinedFilter",
    "What is answered of joined groups, and of one's own membership in them.",
    &[
        GROUP_BASE_FILTER.default("only the `GroupId`"),
        optional("SelfInfoFilter", TEXTS, "names of [MemberFields](#memberfields)").default("no `SelfInfo`"),
        MEMBER_CUSTOM_FILTER.default("none, unless `SelfInfoFilter` names `AppMemberDefinedData`"),
    ],
);

/// What a new group is to be like, created or imported.
pub const NEW_GROUP: Shape = Shape::named(
    "NewGroup",
    "What a new group is to be like.",
    &[
        required("Type", KINDS, "the type; `Private` is the old name of `Work`, `ChatRoom` that of `Meeting`"),
        required("Name", Is::Text, "the name, not empty").limit(Limit::Bytes("limits.group_name_bytes")),
        optional(
            "GroupId",
            Is::Text,
            "an id of your choice: 1 to 48 bytes of printable ASCII without `@TGS#` in front. That of a community \
             begins with `@TGS#_`",
        )
        .default("the node makes one"),
        optional("Owner_Account", Is::Account, "the owner, who becomes a member").default("none"),
        optional("Introduction", Is::Text, "what the group is about")
            .limit(Limit::Bytes("limits.group_introduction_bytes")),
        optional("Notification", Is::Text, "the announcement").limit(Limit::Bytes("limits.group_notification_bytes")),
        optional("FaceUrl", Is::Text, "the address of a picture").limit(Limit::Bytes("limits.group_face_url_bytes")),
        optional("MaxMemberCount", U32, "how many members it may have; live rooms ignore it")
            .default("as many as its type may have (`limits.max_members`)"),
        optional("ApplyJoinOption", APPLY_JOIN, "what becomes of who applies; fixed for Work and live rooms")
            .default("Public `NeedPermission`, Meeting and Community `FreeAccess`"),
        optional("InviteJoinOption", INVITE_JOIN, "what becomes of who is invited; fixed for live rooms")
            .default("Work and Community `FreeAccess`, Public and Meeting `DisableInvite`"),
        GROUP_CUSTOM,
        optional("SupportTopic", super::FLAG, "communities: 1 gives it topics").default("0"),
        optional("EnablePermission", super::FLAG, "communities with topics: permission groups decide").default("0"),
        optional("DefaultPermission", U64, "with `EnablePermission` 1: what everybody may, as bits").default("0"),
    ],
);

/// What became of one account.
pub const ADDED: Shape = Shape::of(&[required(
    "MemberList",
    Is::List(&Is::Object(&Shape::of(&[
        MEMBER_ACCOUNT,
        required("Result", Is::Integer(0, 3), "0 failed, 1 done, 2 was a member already, 3 waits for an approval"),
    ]))),
    "one element per account, in the order of the request",
)]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{fields, wire};

    #[test]
    fn filters_take_the_names_that_are_described() {
        let named = |shape: &Shape| -> Vec<&str> { shape.fields.iter().map(|field| field.name).collect() };
        assert_eq!(named(&GROUP_FIELDS), fields::group_names());
        assert_eq!(named(&MEMBER_FIELDS), fields::member_names()[2..]);
        assert_eq!(fields::member_names()[..2], ["Member_Account", "Account"]);
    }

    #[test]
    fn words_of_answers_are_those_of_the_wire() {
        use crate::group::{Kind, Role};
        let Is::Word(kinds) = KINDS else { unreachable!() };
        let both = Kind::ALL.iter().flat_map(|kind| [true, false].map(|old| wire::kind_word(*kind, old)));
        assert!(both.into_iter().all(|word| kinds.contains(&word)));
        let Is::Word(roles) = ROLES else { unreachable!() };
        assert_eq!(roles, [Role::Owner, Role::Admin, Role::Member].map(wire::role_word));
    }
}
