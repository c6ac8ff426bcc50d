//! Which fields of groups and members an answer carries, and how each is rendered.
//!
//! A filter is a set of names. The old mute names are fields of their own: what was asked for by name is answered
//! under that very name. Unknown names are ignored. Source: docs/spec/rest-api.md 3.4 to 3.8.

use std::borrow::Cow;

use super::body::Object;
use super::error::{self, Failure};
use super::json::Json;
use super::{Call, Rules, wire};
use crate::actors::{GroupView, MemberView};
use crate::config::DeclaredField;
use crate::group::{CustomField, Kind, Refusal, Role};
use crate::id::AccountId;

/// A field of a group. Source: docs/spec/rest-api.md 3.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BaseField {
    Type,
    Name,
    Introduction,
    Notification,
    FaceUrl,
    Owner,
    CreateTime,
    InfoSeq,
    LastInfoTime,
    LastMsgTime,
    NextMsgSeq,
    MemberNum,
    MaxMemberNum,
    OnlineMemberNum,
    ApplyJoinOption,
    InviteJoinOption,
    MuteAllMember,
    ShutUpAllMember,
    SupportTopic,
    EnablePermission,
    DefaultPermission,
}

/// In the order in which they are rendered.
const BASE_FIELDS: [(&str, BaseField); 21] = {
    use BaseField::*;
    [
        ("Type", Type),
        ("Name", Name),
        ("Introduction", Introduction),
        ("Notification", Notification),
        ("FaceUrl", FaceUrl),
        ("Owner_Account", Owner),
        ("CreateTime", CreateTime),
        ("InfoSeq", InfoSeq),
        ("LastInfoTime", LastInfoTime),
        ("LastMsgTime", LastMsgTime),
        ("NextMsgSeq", NextMsgSeq),
        ("MemberNum", MemberNum),
        ("MaxMemberNum", MaxMemberNum),
        ("OnlineMemberNum", OnlineMemberNum),
        ("ApplyJoinOption", ApplyJoinOption),
        ("InviteJoinOption", InviteJoinOption),
        ("MuteAllMember", MuteAllMember),
        ("ShutUpAllMember", ShutUpAllMember),
        ("SupportTopic", SupportTopic),
        ("EnablePermission", EnablePermission),
        ("DefaultPermission", DefaultPermission),
    ]
};

/// A field of a member. Source: docs/spec/rest-api.md 3.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MemberField {
    /// Always rendered; nameable under two names all the same.
    Account,
    Role,
    JoinTime,
    MsgSeq,
    MsgFlag,
    LastSendMsgTime,
    NameCard,
    MuteUntil,
    ShutUpUntil,
    OnlineStatus,
    Custom,
}

/// In the order in which they are rendered.
const MEMBER_FIELDS: [(&str, MemberField); 12] = {
    use MemberField::*;
    [
        ("Member_Account", Account),
        ("Account", Account),
        ("Role", Role),
        ("JoinTime", JoinTime),
        ("MsgSeq", MsgSeq),
        ("MsgFlag", MsgFlag),
        ("LastSendMsgTime", LastSendMsgTime),
        ("NameCard", NameCard),
        ("MuteUntil", MuteUntil),
        ("ShutUpUntil", ShutUpUntil),
        ("OnlineStatus", OnlineStatus),
        ("AppMemberDefinedData", Custom),
    ]
};

/// The names that filters of group fields know.
#[cfg(test)]
pub fn group_names() -> Vec<&'static str> {
    BASE_FIELDS.iter().map(|(name, _)| *name).collect()
}

/// The names that filters of member fields know.
#[cfg(test)]
pub fn member_names() -> Vec<&'static str> {
    MEMBER_FIELDS.iter().map(|(name, _)| *name).collect()
}

/// A set of fields, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Fields(u32);

impl Fields {
    fn bit(index: u8) -> Self {
        Self(1 << index)
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn has(self, index: u8) -> bool {
        self.0 & (1 << index) != 0
    }

    /// All fields of a group, as an answer without a filter has them.
    pub fn all_of_group(rules: &Rules) -> Self {
        let all = BASE_FIELDS.iter().fold(Self::default(), |all, (_, field)| all.with(Self::bit(*field as u8)));
        if rules.legacy_mute_names { all } else { all.without(Self::bit(BaseField::ShutUpAllMember as u8)) }
    }

    /// All fields of a member; `OnlineStatus` only exists where it is named.
    pub fn all_of_member(rules: &Rules) -> Self {
        let all = MEMBER_FIELDS.iter().fold(Self::default(), |all, (_, field)| all.with(Self::bit(*field as u8)));
        let all = all.without(Self::bit(MemberField::OnlineStatus as u8));
        if rules.legacy_mute_names { all } else { all.without(Self::bit(MemberField::ShutUpUntil as u8)) }
    }

    fn named_of_group(names: &[Cow<'_, str>]) -> Self {
        let named = BASE_FIELDS.iter().filter(|(name, _)| names.iter().any(|n| n == name));
        named.fold(Self::default(), |set, (_, field)| set.with(Self::bit(*field as u8)))
    }

    fn named_of_member(names: &[Cow<'_, str>]) -> Self {
        let named = MEMBER_FIELDS.iter().filter(|(name, _)| names.iter().any(|n| n == name));
        named.fold(Self::default(), |set, (_, field)| set.with(Self::bit(*field as u8)))
    }

    /// Reads a filter of group fields; `None`: there is none.
    ///
    /// # Errors
    /// 10004 for what is not a list of strings.
    pub fn group_filter(from: &Object<'_>) -> Result<Option<Self>, Failure> {
        Ok(from.texts("GroupBaseInfoFilter")?.map(|names| Self::named_of_group(&names)))
    }

    /// Reads a filter of member fields; `None`: there is none.
    ///
    /// # Errors
    /// 10004 for what is not a list of strings.
    pub fn member_filter(from: &Object<'_>, filter: &str) -> Result<Option<Self>, Failure> {
        Ok(from.texts(filter)?.map(|names| Self::named_of_member(&names)))
    }

    pub fn and_of_group(self, fields: &[BaseField]) -> Self {
        fields.iter().fold(self, |set, field| set.with(Self::bit(*field as u8)))
    }

    fn names_custom(self) -> bool {
        self.has(MemberField::Custom as u8)
    }
}

/// Which custom fields an answer carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomFilter {
    None,
    All,
    /// In this order; a declared key that is unset is answered with "".
    Keys(Vec<String>),
}

impl CustomFilter {
    /// Reads a filter of custom keys; `absent` is what none means there.
    ///
    /// # Errors
    /// 10004 for what is not a list of strings.
    pub fn read(from: &Object<'_>, filter: &str, absent: Self) -> Result<Self, Failure> {
        Ok(match from.texts(filter)? {
            None => absent,
            Some(keys) => Self::Keys(keys.into_iter().map(Cow::into_owned).collect()),
        })
    }
}

/// How members are rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberShape {
    pub fields: Fields,
    pub custom: CustomFilter,
}

impl MemberShape {
    /// Everything, as an answer without a filter has it.
    pub fn everything(rules: &Rules) -> Self {
        Self { fields: Fields::all_of_member(rules), custom: CustomFilter::All }
    }

    /// What a request for members asks for, with its filters beside its other fields; without any, everything.
    ///
    /// # Errors
    /// 10004 for what is not a list of strings.
    pub fn read(body: &Object<'_>, rules: &Rules) -> Result<Self, Failure> {
        match Fields::member_filter(body, "MemberInfoFilter")? {
            Some(fields) => Self::filtered(body, fields),
            None => Ok(Self {
                custom: CustomFilter::read(body, "AppDefinedDataFilter_GroupMember", CustomFilter::All)?,
                ..Self::everything(rules)
            }),
        }
    }

    /// What the filter of that name in a response filter asks for; `None`: there is none, and members are not shown.
    ///
    /// # Errors
    /// 10004 for what is not a list of strings, the filter of custom keys included, used or not.
    pub fn named(from: &Object<'_>, filter: &str) -> Result<Option<Self>, Failure> {
        match Fields::member_filter(from, filter)? {
            Some(fields) => Self::filtered(from, fields).map(Some),
            None => CustomFilter::read(from, "AppDefinedDataFilter_GroupMember", CustomFilter::None).map(|_| None),
        }
    }

    /// What a member filter asks for; custom fields if it names them or `AppDefinedDataFilter_GroupMember` is there.
    ///
    /// # Errors
    /// 10004 for what is not a list of strings.
    fn filtered(from: &Object<'_>, fields: Fields) -> Result<Self, Failure> {
        let absent = if fields.names_custom() { CustomFilter::All } else { CustomFilter::None };
        let custom = CustomFilter::read(from, "AppDefinedDataFilter_GroupMember", absent)?;
        Ok(Self { fields, custom })
    }
}

/// Renders the base fields of a group; the id is the caller's.
pub fn group(json: &mut Json, group: &GroupView, fields: Fields, rules: &Rules) {
    let facts = &group.facts;
    for (name, field) in BASE_FIELDS {
        if !fields.has(field as u8) {
            continue;
        }
        match field {
            BaseField::Type => json.word(name, wire::kind_word(facts.kind, rules.legacy_type_names)),
            BaseField::Name => json.text(name, &group.name),
            BaseField::Introduction => json.text(name, &group.introduction),
            BaseField::Notification => json.text(name, &group.notification),
            BaseField::FaceUrl => json.text(name, &group.face_url),
            BaseField::Owner => json.text(name, facts.owner.as_ref().map_or("", |owner| owner.as_str())),
            BaseField::CreateTime => json.number(name, facts.created.secs()),
            BaseField::InfoSeq => json.number(name, facts.info_seq),
            BaseField::LastInfoTime => json.number(name, facts.last_info.secs()),
            BaseField::LastMsgTime => json.number(name, facts.last_msg.secs()),
            BaseField::NextMsgSeq => json.number(name, facts.next_msg_seq),
            BaseField::MemberNum => json.number(name, u64::from(facts.member_count)),
            BaseField::MaxMemberNum => json.number(name, u64::from(facts.members_max)),
            // Nobody holds a session here yet, so nobody is online.
            BaseField::OnlineMemberNum => json.number(name, 0),
            BaseField::ApplyJoinOption => json.word(name, wire::apply_join_word(facts.apply_join)),
            BaseField::InviteJoinOption => json.word(name, wire::invite_join_word(facts.invite_join)),
            BaseField::MuteAllMember | BaseField::ShutUpAllMember => {
                json.word(name, wire::switch_word(facts.mute_all));
            }
            BaseField::SupportTopic if facts.kind == Kind::Community => {
                json.number(name, u64::from(facts.support_topic));
            }
            BaseField::EnablePermission if facts.support_topic => {
                json.number(name, u64::from(facts.enable_permission));
            }
            BaseField::DefaultPermission if facts.support_topic && facts.enable_permission => {
                json.number(name, facts.default_permission);
            }
            BaseField::SupportTopic | BaseField::EnablePermission | BaseField::DefaultPermission => {}
        }
    }
}

/// What a member with all its fields usually takes of an answer.
pub const MEMBER_BYTES_USUAL: usize = 224;

/// Renders the fields of a member, its name among them only if `with_account`.
pub fn member(json: &mut Json, member: &MemberView, shape: &MemberShape, with_account: bool, call: &Call<'_>) {
    if with_account {
        json.text("Member_Account", member.account.as_str());
    }
    let muted_until = if member.mute_until > call.now_secs { member.mute_until } else { 0 };
    for (name, field) in MEMBER_FIELDS {
        if !shape.fields.has(field as u8) {
            continue;
        }
        match field {
            MemberField::Account | MemberField::Custom => {}
            MemberField::Role => json.word(name, wire::role_word(member.role)),
            MemberField::JoinTime => json.number(name, member.joined.secs()),
            MemberField::MsgSeq => json.number(name, member.msg_seq),
            MemberField::MsgFlag => json.word(name, wire::msg_flag_word(member.msg_flag)),
            MemberField::LastSendMsgTime => json.number(name, member.last_send.secs()),
            MemberField::NameCard => json.text(name, &member.name_card),
            MemberField::MuteUntil | MemberField::ShutUpUntil => json.number(name, muted_until),
            MemberField::OnlineStatus => json.word(name, "Offline"),
        }
    }
    custom(json, "AppMemberDefinedData", &member.custom, &shape.custom, &call.rules.custom_fields.member);
}

/// Renders custom fields, in the order of the filter, else of their declaration; an empty set is left out.
///
/// Source: docs/spec/rest-api.md 3.7.
pub fn custom(json: &mut Json, name: &str, stored: &[CustomField], filter: &CustomFilter, declared: &[DeclaredField]) {
    let chosen: Vec<(&str, &str)> = match filter {
        CustomFilter::None => return,
        CustomFilter::All => {
            let mut all: Vec<(&str, &str)> = stored.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            // Undeclared ones come last, in the order in which they were first written.
            all.sort_by_key(|(key, _)| declared.iter().position(|field| field.key == *key).unwrap_or(declared.len()));
            all
        }
        CustomFilter::Keys(keys) => keys
            .iter()
            .filter_map(|key| {
                let value = stored.iter().find(|(stored, _)| stored == key).map(|(_, value)| value.as_str());
                let unset = declared.iter().any(|field| field.key == *key).then_some("");
                Some((key.as_str(), value.or(unset)?))
            })
            .collect(),
    };
    if chosen.is_empty() {
        return;
    }
    json.list(name, |json| {
        for (key, value) in chosen {
            json.item(|json| {
                json.text("Key", key);
                json.text("Value", value);
            });
        }
    });
}

/// Items of a page: what is asked for, as far as a page may hold it.
pub fn page_size(limit: Option<u64>, limit_max: usize) -> usize {
    limit.map_or(limit_max, |limit| usize::try_from(limit).unwrap_or(usize::MAX).min(limit_max))
}

/// Reads which roles a request is about; none: all.
///
/// # Errors
/// 10004 for what is not a list of roles: unlike an unknown field an unknown role would change who is found.
pub fn read_roles(body: &Object<'_>) -> Result<Vec<Role>, Failure> {
    let words = body.texts("MemberRoleFilter")?.unwrap_or_default();
    let role = |word: &str| {
        let unknown = || Failure::with_value(error::BAD_PARAMETER, "MemberRoleFilter", "unknown value", word);
        wire::role(word).ok_or_else(unknown)
    };
    words.iter().map(|word| role(word)).collect()
}

/// Reads a list of at least one account and at most `max`; 0: any number.
///
/// # Errors
/// 10004 for no list, an empty one or a malformed account, 60015 for an account that is no string, 10005 for more.
pub fn read_accounts(body: &Object<'_>, field: &'static str, max: usize) -> Result<Vec<AccountId>, Failure> {
    let accounts = body.required_accounts(field)?;
    if max != 0 && accounts.len() > max {
        return Err(Refusal::TooManyAccounts { field, max }.into());
    }
    Ok(accounts)
}

/// Reads how long a silence lasts (seconds), under any of its names; of several the first of `names` counts.
///
/// # Errors
/// 10004 for what is no integer of 32 bits, under whichever name.
///
/// Source: docs/spec/rest-api.md 3.4.
pub fn read_mute(body: &Object<'_>, names: &[&str]) -> Result<Option<u32>, Failure> {
    let mut newest = None;
    for name in names {
        let secs = body.integer(name, u64::from(u32::MAX))?;
        newest = newest.or(secs);
    }
    Ok(newest.map(|secs| u32::try_from(secs).unwrap_or(u32::MAX)))
}

/// Reads custom fields out of a request.
///
/// # Errors
/// 10004 for what has no key, a value that is a list or an object, or a key that must be declared and is not.
pub fn read_custom(
    from: &Object<'_>,
    name: &str,
    open: bool,
    declared: &[DeclaredField],
) -> Result<Vec<CustomField>, Failure> {
    let mut fields = Vec::new();
    for item in from.objects(name)?.unwrap_or_default() {
        let key = item.required_text("Key")?.into_owned();
        if !open && !declared.iter().any(|field| field.key == key) {
            return Err(Failure::with_value(error::BAD_PARAMETER, name, "key is not declared", &key));
        }
        fields.push((key, item.scalar("Value")?.into_owned()));
    }
    Ok(fields)
}
