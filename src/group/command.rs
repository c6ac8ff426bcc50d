//! What may be asked of a group: one variant per intention.

use super::{ApplyJoin, InviteJoin, Kind, Role};
use crate::id::AccountId;

/// Who asks.
///
/// The admin plane passes `AppAdmin`; `name` is then only the label that notices carry
/// (docs/spec/group-types.md 2, rule 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    AppAdmin { name: AccountId },
    Account(AccountId),
}

impl Operator {
    pub fn name(&self) -> &AccountId {
        match self {
            Operator::AppAdmin { name } => name,
            Operator::Account(account) => account,
        }
    }
}

/// Asked of one group, in the imperative.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Create(Create),
    Add(Add),
    Remove(Remove),
    ChangeProfile(ChangeProfile),
    Destroy(Destroy),
}

/// A key of an app's own and its value; the key is 1 to 16 bytes of `[A-Za-z0-9_]`.
pub type CustomField = (String, String);

/// Asks for a new group under an id that no group has.
#[derive(Clone, Debug, PartialEq)]
pub struct Create {
    pub operator: Operator,
    pub kind: Kind,
    pub name: String,
    pub introduction: String,
    pub notification: String,
    pub face_url: String,
    /// Whom an app admin makes the owner; a user owns what it creates, whatever this says.
    pub owner: Option<AccountId>,
    /// `None`: the cap of the kind. 0: unlimited. Ignored for a live room.
    pub members_max: Option<u32>,
    /// Ignored where the kind fixes it, as the next one is.
    pub apply_join: Option<ApplyJoin>,
    pub invite_join: Option<InviteJoin>,
    pub custom: Vec<CustomField>,
    /// May repeat an account, or name the owner: the first mention counts, and the owner is the owner.
    pub members: Vec<NewMember>,
    /// Community only: topics are enabled.
    pub support_topic: bool,
    /// Topics only: permission groups decide rights.
    pub enable_permission: bool,
    /// Bits; 0 unless `enable_permission`.
    pub default_permission: u64,
}

/// One initial member of a new group.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMember {
    pub account: AccountId,
    /// `Admin` or `Member`; the owner is named elsewhere.
    pub role: Role,
    pub custom: Vec<CustomField>,
}

/// Adds accounts without their consent.
#[derive(Clone, Debug, PartialEq)]
pub struct Add {
    pub operator: Operator,
    /// In request order; may repeat an account.
    pub accounts: Vec<AccountId>,
    /// Nobody is notified.
    pub silent: bool,
}

/// Removes accounts; those that are no members are passed over.
#[derive(Clone, Debug, PartialEq)]
pub struct Remove {
    pub operator: Operator,
    /// In request order; may repeat an account.
    pub accounts: Vec<AccountId>,
    /// Only the removed are told.
    pub silent: bool,
    /// Told to the removed and, unless silent, to those who stay.
    pub reason: String,
}

/// Changes what is named; `None` leaves a field as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeProfile {
    pub operator: Operator,
    pub name: Option<String>,
    pub introduction: Option<String>,
    pub notification: Option<String>,
    pub face_url: Option<String>,
    /// 0: unlimited. Ignored for a live room.
    pub members_max: Option<u32>,
    pub apply_join: Option<ApplyJoin>,
    pub invite_join: Option<InviteJoin>,
    pub mute_all: Option<bool>,
    pub history_before_join: Option<bool>,
    pub enable_permission: Option<bool>,
    pub default_permission: Option<u64>,
    /// Topics can be enabled, never disabled again.
    pub support_topic: Option<bool>,
    /// Merged; an empty value deletes its key.
    pub custom: Vec<CustomField>,
}

/// Disbands the group.
#[derive(Clone, Debug, PartialEq)]
pub struct Destroy {
    pub operator: Operator,
}

impl Command {
    /// The accounts whose membership the command names: their rows are needed to judge it.
    ///
    /// A user-plane operator is among them; an app admin is not a member and is not looked up.
    pub fn named_accounts(&self) -> Vec<&AccountId> {
        let (operator, accounts): (&Operator, Vec<&AccountId>) = match self {
            // Nobody is a member of a group that does not exist yet.
            Command::Create(_) => return Vec::new(),
            Command::Add(c) => (&c.operator, c.accounts.iter().collect()),
            Command::Remove(c) => (&c.operator, c.accounts.iter().collect()),
            Command::ChangeProfile(c) => (&c.operator, Vec::new()),
            Command::Destroy(c) => (&c.operator, Vec::new()),
        };
        let mut named = accounts;
        if let Operator::Account(account) = operator {
            named.push(account);
        }
        named.sort_unstable();
        named.dedup();
        named
    }

    /// Whether judging it compares with the stored texts and settings.
    pub fn needs_profile(&self) -> bool {
        matches!(self, Command::ChangeProfile(_))
    }
}
