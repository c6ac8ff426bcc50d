//! What may be asked of a group: one variant per intention.

use rustc_hash::FxHashSet;

use super::{ApplyJoin, InviteJoin, Kind, MsgFlag, Role};
use crate::id::AccountId;
use crate::time::Stamp;

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
    Import(Import),
    Add(Add),
    ImportMembers(ImportMembers),
    Remove(Remove),
    ChangeProfile(ChangeProfile),
    ChangeMember(ChangeMember),
    Mute(Mute),
    Transfer(Transfer),
    ChangeAttributes(ChangeAttributes),
    ChangeCounters(ChangeCounters),
    Ban(Ban),
    Unban(Unban),
    ChangeLiveAdmins(ChangeLiveAdmins),
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

impl ChangeProfile {
    /// Names no field.
    pub fn nothing(operator: Operator) -> Self {
        Self {
            operator,
            name: None,
            introduction: None,
            notification: None,
            face_url: None,
            members_max: None,
            apply_join: None,
            invite_join: None,
            mute_all: None,
            history_before_join: None,
            enable_permission: None,
            default_permission: None,
            support_topic: None,
            custom: Vec::new(),
        }
    }
}

/// Creates a group as it was elsewhere: silently, and perhaps in the past.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// Its members follow by [`ImportMembers`]: the list here is empty.
    pub group: Create,
    /// `None`: now.
    pub created: Option<Stamp>,
}

/// Adds members as they were elsewhere: silently, and perhaps in the past.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportMembers {
    pub operator: Operator,
    /// In request order; may repeat an account.
    pub members: Vec<ImportMember>,
}

/// One member to be imported.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportMember {
    pub account: AccountId,
    /// `Admin` or `Member`.
    pub role: Role,
    /// `None`: now.
    pub joined: Option<Stamp>,
    /// Messages not read; `None`: none. More than the group has are all of them.
    pub unread: Option<u64>,
}

/// Changes what is named of one member; `None` leaves a field as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeMember {
    pub operator: Operator,
    pub account: AccountId,
    /// `Admin` appoints, `Member` dismisses.
    pub role: Option<Role>,
    pub msg_flag: Option<MsgFlag>,
    pub name_card: Option<String>,
    /// Seconds from now, see [`Mute::for_secs`].
    pub mute_for_secs: Option<u32>,
    /// Merged; an empty value deletes its key.
    pub custom: Vec<CustomField>,
}

/// Silences accounts, or lets them speak again.
#[derive(Clone, Debug, PartialEq)]
pub struct Mute {
    pub operator: Operator,
    /// In request order; may repeat an account.
    pub accounts: Vec<AccountId>,
    /// 0 lifts the silence, [`FOR_EVER_SECS`] never ends.
    pub for_secs: u32,
}

/// A span that never ends, as the wire has it. Source: docs/spec/rest-api.md 3.3, `MuteTime`.
pub const FOR_EVER_SECS: u32 = u32::MAX;

/// When a span that begins now ends, in Unix seconds; an end beyond what the wire can say is never.
///
/// Source: docs/spec/rest-api.md 3.3 and 4.13.
pub(super) fn until_secs(at: Stamp, for_secs: u32) -> u64 {
    (at.secs() + u64::from(for_secs)).min(FOR_EVER_SECS.into())
}

/// The accounts of a list that may repeat them: each once, where it was first named.
pub(super) fn distinct(accounts: &[AccountId]) -> Vec<&AccountId> {
    let mut seen: FxHashSet<&AccountId> = FxHashSet::default();
    accounts.iter().filter(|account| seen.insert(account)).collect()
}

/// Makes another member the owner.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    pub operator: Operator,
    pub to: AccountId,
}

/// Changes the attributes that members share; the keys may repeat, then the last one counts.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeAttributes {
    pub operator: Operator,
    pub change: AttributeChange,
}

#[derive(Clone, Debug, PartialEq)]
pub enum AttributeChange {
    /// These and no others.
    Replace(Vec<(String, String)>),
    /// These beside those that are there.
    Merge(Vec<(String, String)>),
    /// Each must be there.
    Delete(Vec<String>),
    Clear,
}

/// Changes counters; the keys may repeat, then the last one counts.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeCounters {
    pub operator: Operator,
    pub change: CounterChange,
}

#[derive(Clone, Debug, PartialEq)]
pub enum CounterChange {
    Set(Vec<(String, i64)>),
    /// A missing counter begins at 0.
    Increase(Vec<(String, i64)>),
    Decrease(Vec<(String, i64)>),
    Delete(Vec<String>),
    Clear,
}

/// Keeps accounts out of a live room for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Ban {
    pub operator: Operator,
    /// In request order; may repeat an account.
    pub accounts: Vec<AccountId>,
    /// Never 0.
    pub for_secs: u32,
    pub description: String,
}

/// Lets banned accounts in again; those that are not banned are passed over.
#[derive(Clone, Debug, PartialEq)]
pub struct Unban {
    pub operator: Operator,
    /// In request order; may repeat an account.
    pub accounts: Vec<AccountId>,
}

/// Appoints or dismisses admins of a live room, who need not be in it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeLiveAdmins {
    pub operator: Operator,
    /// In request order; may repeat an account.
    pub accounts: Vec<AccountId>,
    pub appoint: bool,
}

/// Disbands the group.
#[derive(Clone, Debug, PartialEq)]
pub struct Destroy {
    pub operator: Operator,
}

impl Command {
    /// Who asks.
    pub fn operator(&self) -> &Operator {
        match self {
            Command::Create(c) => &c.operator,
            Command::Import(c) => &c.group.operator,
            Command::Add(c) => &c.operator,
            Command::ImportMembers(c) => &c.operator,
            Command::Remove(c) => &c.operator,
            Command::ChangeProfile(c) => &c.operator,
            Command::ChangeMember(c) => &c.operator,
            Command::Mute(c) => &c.operator,
            Command::Transfer(c) => &c.operator,
            Command::ChangeAttributes(c) => &c.operator,
            Command::ChangeCounters(c) => &c.operator,
            Command::Ban(c) => &c.operator,
            Command::Unban(c) => &c.operator,
            Command::ChangeLiveAdmins(c) => &c.operator,
            Command::Destroy(c) => &c.operator,
        }
    }

    /// The accounts whose membership the command names, each once: their rows are needed to judge it.
    ///
    /// A user-plane operator is among them; an app admin is not a member and is not looked up.
    pub fn named_accounts(&self) -> Vec<&AccountId> {
        let mut named: Vec<&AccountId> = match self {
            // Nobody is a member of a group that does not exist yet.
            Command::Create(_) | Command::Import(_) => return Vec::new(),
            Command::Add(c) => c.accounts.iter().collect(),
            Command::ImportMembers(c) => c.members.iter().map(|member| &member.account).collect(),
            Command::Remove(c) => c.accounts.iter().collect(),
            Command::ChangeMember(c) => vec![&c.account],
            Command::Mute(c) => c.accounts.iter().collect(),
            Command::Transfer(c) => vec![&c.to],
            Command::Ban(c) => c.accounts.iter().collect(),
            Command::Unban(c) => c.accounts.iter().collect(),
            Command::ChangeLiveAdmins(c) => c.accounts.iter().collect(),
            Command::ChangeProfile(_)
            | Command::ChangeAttributes(_)
            | Command::ChangeCounters(_)
            | Command::Destroy(_) => Vec::new(),
        };
        if let Operator::Account(account) = self.operator() {
            named.push(account);
        }
        named.sort_unstable();
        named.dedup();
        named
    }

    /// What else has to be known of the group and of those it names.
    pub fn needs(&self) -> Needs {
        Needs {
            profile: matches!(self, Command::ChangeProfile(_)),
            attributes: matches!(self, Command::ChangeAttributes(_)),
            counters: matches!(self, Command::ChangeCounters(_)),
            // The owner that was has to be found by name.
            owner: matches!(self, Command::Transfer(_)),
            cards: matches!(self, Command::ChangeMember(_)),
            restrictions: matches!(
                self,
                Command::ChangeMember(_) | Command::Mute(_) | Command::Ban(_) | Command::Unban(_)
            ),
        }
    }
}

/// What a command is judged with besides the facts and the membership of those it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub profile: bool,
    pub attributes: bool,
    pub counters: bool,
    /// The membership of the present owner, whom the command does not name.
    pub owner: bool,
    /// [`Card`](super::Card) of each named member.
    pub cards: bool,
    /// [`Restriction`](super::Restriction) of each named account, member or not.
    pub restrictions: bool,
}
