//! Accounts that were imported: what an entry does to their rows, and who is known.
//!
//! An identity is independent of what an account has joined: it may come before or after the first group, and
//! deleting it ends no membership. Source: docs/spec/accounts.md.

use muster_cluster::{DiskError, Rows};

use super::entry::{AccountsEntry, IdentityChange};
use super::rows::Writer;
use super::view::Looks;
use crate::id::{AccountId, AppId};
use crate::store::{AccountHeader, AccountText, IdentityRow, Keys, decode, encode};

impl IdentityChange {
    pub fn imported(account: AccountId, nick: Option<String>, face_url: Option<String>) -> Self {
        IdentityChange::Imported { account: AccountText(account), nick, face_url }
    }

    pub fn deleted(account: AccountId) -> Self {
        IdentityChange::Deleted { account: AccountText(account) }
    }

    pub fn account(&self) -> &AccountId {
        match self {
            IdentityChange::Imported { account, .. } | IdentityChange::Deleted { account } => &account.0,
        }
    }
}

/// Writes what an entry says; the positions of the changes whose account had no identity before.
pub(super) fn apply(writer: &mut Writer<'_, '_>, entry: AccountsEntry) -> Result<Vec<usize>, DiskError> {
    let mut absent = Vec::new();
    for (position, change) in entry.changes.into_iter().enumerate() {
        let key = writer.keys.identity(AppId(entry.app), change.account());
        let present = writer.tx.read(&key, decode::<IdentityRow>)?;
        if present.is_none() {
            absent.push(position);
        }
        match change {
            IdentityChange::Imported { nick, face_url, .. } => {
                let before =
                    present.unwrap_or(IdentityRow { nick: String::new(), face_url: String::new(), imported: entry.at });
                let row = IdentityRow {
                    nick: nick.unwrap_or(before.nick),
                    face_url: face_url.unwrap_or(before.face_url),
                    imported: before.imported,
                };
                writer.tx.put(key, encode(&row));
            }
            IdentityChange::Deleted { .. } => writer.tx.delete(key),
        }
    }
    Ok(absent)
}

/// Which of the accounts were imported or, if a mention is enough, have ever been in a group or been told anything.
pub fn known(rows: &Rows, app: AppId, accounts: &[&AccountId], by_mention: bool) -> Result<Vec<bool>, DiskError> {
    let view = rows.view();
    let keys = Keys::new(view.generation());
    let is_known = |account: &&AccountId| {
        let imported = view.read(&keys.identity(app, account), decode::<IdentityRow>)?.is_some();
        if imported || !by_mention {
            return Ok(imported);
        }
        Ok(view.read(&keys.account(app, account), decode::<AccountHeader>)?.is_some())
    };
    accounts.iter().map(is_known).collect()
}

/// What the accounts look like, in that order; nothing of those who were not imported.
pub fn looks(rows: &Rows, app: AppId, accounts: &[&AccountId]) -> Result<Vec<Looks>, DiskError> {
    let view = rows.view();
    let keys = Keys::new(view.generation());
    let look = |account: &&AccountId| {
        let row = view.read(&keys.identity(app, account), decode::<IdentityRow>)?;
        Ok(row.map_or_else(Looks::default, |row| Looks { nick: row.nick, face_url: row.face_url }))
    };
    accounts.iter().map(look).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use muster_cluster::testing::Bench;
    use muster_cluster::{Committed, Payload, ShardId};
    use parking_lot::Mutex;

    use super::*;
    use crate::shard::{Applied, Item, Machine, Proposal, Told};

    const APP: AppId = AppId(7);

    fn account(name: &str) -> AccountId {
        AccountId::parse(name).expect("an account")
    }

    fn imported(name: &str, nick: Option<&str>, face_url: Option<&str>) -> IdentityChange {
        IdentityChange::imported(account(name), nick.map(str::to_owned), face_url.map(str::to_owned))
    }

    fn entry(at: u64, changes: Vec<IdentityChange>) -> Item {
        Item::Accounts(AccountsEntry { app: APP.0, at, changes })
    }

    /// One shard, and what its machine said of each proposal.
    struct Shard {
        bench: Bench,
        machine: Machine,
        heard: Arc<Mutex<Vec<Applied>>>,
        index: u64,
    }

    impl Shard {
        fn new() -> Self {
            let heard: Arc<Mutex<Vec<Applied>>> = Arc::default();
            let ears = heard.clone();
            let machine = Machine::new(ShardId(0), 1, Arc::new(move |told: Told| ears.lock().extend(told.applied())));
            Self { bench: Bench::default(), machine, heard, index: 0 }
        }

        /// Applies the items as one proposal; what was unknown, by item.
        fn apply(&mut self, items: &[Item]) -> Vec<(usize, Vec<usize>)> {
            self.index += 1;
            let items: Vec<Vec<u8>> = items.iter().map(Item::encode).collect();
            let payload = Payload::Data(Proposal::join(1, self.index, items.iter().map(Vec::as_slice), 0));
            let committed = Committed { index: self.index, term: 1, payload };
            let release = self.bench.apply(&mut self.machine, &[committed]).expect("rows in memory");
            release.expect("somebody to tell")();
            let applied = self.heard.lock().pop().and_then(|applied| applied.proposal).expect("a proposal");
            applied.unknown
        }

        fn row(&self, name: &str) -> Option<IdentityRow> {
            let rows = self.bench.rows();
            let key = Keys::new(rows.generation()).identity(APP, &account(name));
            rows.read(&key, decode::<IdentityRow>).expect("rows in memory")
        }
    }

    fn row(nick: &str, face_url: &str, imported: u64) -> Option<IdentityRow> {
        Some(IdentityRow { nick: nick.to_owned(), face_url: face_url.to_owned(), imported })
    }

    #[test]
    fn an_import_changes_what_it_names_and_a_deletion_ends_it() {
        let mut shard = Shard::new();
        let first =
            vec![imported("ann", Some("Ann"), None), imported("bob", None, Some("b")), imported("ann", None, None)];
        assert_eq!(shard.apply(&[entry(5, first)]), [(0, vec![0, 1])]);
        assert_eq!((shard.row("ann"), shard.row("bob"), shard.row("cid")), (row("Ann", "", 5), row("", "b", 5), None));

        let again = vec![imported("ann", None, Some("a")), imported("bob", Some("Bob"), Some(""))];
        assert_eq!(shard.apply(&[entry(9, again)]), [(0, vec![])]);
        assert_eq!((shard.row("ann"), shard.row("bob")), (row("Ann", "a", 5), row("Bob", "", 5)));

        // Later items of an entry see earlier ones; a new import begins anew.
        let gone = || IdentityChange::deleted(account("ann"));
        let items = [entry(10, vec![gone(), gone()]), entry(11, vec![imported("ann", None, None)])];
        assert_eq!(shard.apply(&items), [(0, vec![1]), (1, vec![0])]);
        assert_eq!(shard.row("ann"), row("", "", 11));
    }

    #[test]
    fn who_is_known() {
        let mut shard = Shard::new();
        shard.apply(&[entry(5, vec![imported("ann", None, None)])]);
        let (ann, bob) = (account("ann"), account("bob"));
        for by_mention in [false, true] {
            assert_eq!(known(shard.bench.rows(), APP, &[&bob, &ann, &bob], by_mention).unwrap(), [false, true, false]);
            assert_eq!(known(shard.bench.rows(), AppId(8), &[&ann], by_mention).unwrap(), [false]);
        }
    }

    #[test]
    fn what_they_look_like() {
        let mut shard = Shard::new();
        shard.apply(&[entry(5, vec![imported("ann", Some("Ann"), Some("a.png")), imported("cid", None, None)])]);
        let (ann, bob, cid) = (account("ann"), account("bob"), account("cid"));
        let of_ann = Looks { nick: "Ann".to_owned(), face_url: "a.png".to_owned() };
        let found = looks(shard.bench.rows(), APP, &[&cid, &ann, &bob]).expect("rows in memory");
        assert_eq!(found, [Looks::default(), of_ann, Looks::default()]);
        assert_eq!(looks(shard.bench.rows(), AppId(8), &[&ann]).expect("rows in memory"), [Looks::default()]);
    }

    /// Golden bytes: a change of layout is a change of format.
    #[test]
    fn entries_keep_their_bytes() {
        let changes = vec![imported("ann", Some("A"), None), IdentityChange::deleted(account("bob"))];
        let bytes = entry(4, changes).encode();
        let golden: &[u8] =
            b"\x81\xa8Accounts\x93\x07\x04\x92\x81\xa8Imported\x93\xa3ann\xa1A\xc0\x81\xa7Deleted\x91\xa3bob";
        assert_eq!(bytes, golden);
    }
}
