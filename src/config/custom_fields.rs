//! Which custom keys an app has, and who may read and write them.

use serde::{Deserialize, Serialize};

use super::sections::{range, wrong};
use super::{ConfigError, LimitsSection};
use crate::group::{CustomRule, CustomRules, Kind, Rank};

/// Keys that can be declared where `limits.*_custom_keys` is 0.
const DECLARED_MAX: u64 = 1_000;

/// Which custom keys exist. Source: docs/spec/rest-api.md 3.7.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomFields {
    /// Undeclared keys are accepted.
    pub open: bool,
    pub group: Vec<DeclaredField>,
    pub member: Vec<DeclaredField>,
}

/// One declared custom key. What it does not say is decided by where it is declared: see [`CustomFields::rules`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredField {
    pub key: String,
    /// Types of group that have it; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<FieldKind>,
    /// The lowest role that may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<FieldRole>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<FieldRole>,
    /// Of member fields: whether one may read and write the own value, whatever the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_read: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_write: Option<bool>,
}

/// A type of group, as `limits.max_members` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    Work,
    Public,
    Meeting,
    AvChatRoom,
    Community,
}

/// Who may, from the lowest up. Source: docs/spec/group-types.md 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldRole {
    Anyone,
    Member,
    Admin,
    Owner,
    AppAdmin,
}

impl Default for CustomFields {
    fn default() -> Self {
        Self { open: true, group: Vec::new(), member: Vec::new() }
    }
}

impl CustomFields {
    /// What the rules judge by.
    ///
    /// A field of a group that says nothing is read by anyone and written by admins, as the group's texts are; a
    /// field of a member is read by members and written by admins and by whom it describes.
    pub fn rules(&self) -> CustomRules {
        CustomRules {
            group: self.group.iter().map(|field| field.rule(FieldRole::Anyone)).collect(),
            member: self.member.iter().map(|field| field.rule(FieldRole::Member)).collect(),
        }
    }

    pub(super) fn validate(&self, limits: &LimitsSection) -> Result<(), ConfigError> {
        for (name, fields, keys_max) in [
            ("custom_fields.group", &self.group, limits.group_custom_keys),
            ("custom_fields.member", &self.member, limits.member_custom_keys),
        ] {
            range(name, fields.len() as u64, 0, if keys_max == 0 { DECLARED_MAX } else { keys_max as u64 })?;
            for (i, field) in fields.iter().enumerate() {
                let shaped = !field.key.is_empty()
                    && (limits.custom_key_bytes == 0 || field.key.len() <= limits.custom_key_bytes)
                    && field.key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                if !shaped || fields[..i].iter().any(|other| other.key == field.key) {
                    return wrong(name, format!("key {:?} is malformed or declared twice", field.key));
                }
            }
        }
        if let Some(field) = self.group.iter().find(|field| field.own_read.is_some() || field.own_write.is_some()) {
            return wrong("custom_fields.group", format!("own_read and own_write are of members: {:?}", field.key));
        }
        Ok(())
    }
}

impl DeclaredField {
    /// A key that says nothing but its name.
    pub fn named(key: &str) -> Self {
        Self { key: key.to_owned(), ..Self::default() }
    }

    fn rule(&self, read: FieldRole) -> CustomRule {
        CustomRule {
            key: self.key.clone(),
            kinds: self.types.iter().map(|kind| kind.kind()).collect(),
            read: self.read.unwrap_or(read).rank(),
            write: self.write.unwrap_or(FieldRole::Admin).rank(),
            own_read: self.own_read.unwrap_or(true),
            own_write: self.own_write.unwrap_or(true),
        }
    }
}

impl FieldKind {
    fn kind(self) -> Kind {
        match self {
            FieldKind::Work => Kind::Work,
            FieldKind::Public => Kind::Public,
            FieldKind::Meeting => Kind::Meeting,
            FieldKind::AvChatRoom => Kind::AvChatRoom,
            FieldKind::Community => Kind::Community,
        }
    }
}

impl FieldRole {
    fn rank(self) -> Rank {
        match self {
            FieldRole::Anyone => Rank::NotMember,
            FieldRole::Member => Rank::Member,
            FieldRole::Admin => Rank::Admin,
            FieldRole::Owner => Rank::Owner,
            FieldRole::AppAdmin => Rank::AppAdmin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_declaration_leaves_open() {
        let declared = DeclaredField {
            types: vec![FieldKind::AvChatRoom],
            read: Some(FieldRole::Owner),
            write: Some(FieldRole::AppAdmin),
            own_write: Some(false),
            ..DeclaredField::named("badge")
        };
        let fields = CustomFields {
            open: false,
            group: vec![DeclaredField::named("city")],
            member: vec![DeclaredField::named("city"), declared],
        };
        let rule = |key: &str, read, write| CustomRule {
            key: key.to_owned(),
            kinds: Vec::new(),
            read,
            write,
            own_read: true,
            own_write: true,
        };
        let badge = CustomRule {
            kinds: vec![Kind::AvChatRoom],
            own_write: false,
            ..rule("badge", Rank::Owner, Rank::AppAdmin)
        };
        let expected = CustomRules {
            group: vec![rule("city", Rank::NotMember, Rank::Admin)],
            member: vec![rule("city", Rank::Member, Rank::Admin), badge],
        };
        assert_eq!(fields.rules(), expected);
    }
}
