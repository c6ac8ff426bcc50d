//! What changes of groups do to the rows of accounts and to quotas.

use muster_cluster::{DiskError, ShardId, Slot, shard_of_slot};

use super::Writer;
use crate::id::{AccountId, AppId, Gno};
use crate::shard::entry::Effect;
use crate::store::keys::{slot_of_account, slot_of_quota};
use crate::store::{AccountHeader, FeedRow, JoinedRow, decode, encode};

/// Reports kept per account; the newest are kept. Source: docs/spec/events.md 5.1.
pub const FEED_ROWS_MAX: u64 = 2000;

/// A count that a limit judges by, as an effect left it.
#[derive(Clone, Debug, PartialEq)]
pub enum Count {
    /// Groups that an account is in.
    Groups { app: AppId, account: AccountId, count: u64, has_joined: bool },
    /// Groups made that day less groups disbanded.
    Net { app: AppId, day: i32, net: i64, delta: i64 },
}

impl Writer<'_, '_> {
    fn account(&mut self, app: AppId, account: &AccountId) -> Result<(Vec<u8>, AccountHeader), DiskError> {
        let key = self.keys.account(app, account);
        let header = match self.accounts.get(&key) {
            Some(header) => *header,
            None => self.tx.read(&key, decode::<AccountHeader>)?.unwrap_or_default(),
        };
        Ok((key, header))
    }

    /// Folds an effect on what this shard holds; tells the counts that it changed.
    pub fn fold(&mut self, effect: &Effect, counts: &mut Vec<Count>) -> Result<(), DiskError> {
        match effect {
            Effect::Joined { app, account, slot, gno, row, report } => {
                let app = AppId(*app);
                let (key, mut header) = self.account(app, &account.0)?;
                self.put_joined(app, &account.0, Slot(*slot), Gno(*gno), row);
                header.joined_count += 1;
                self.append_report(app, &account.0, &mut header, report.as_ref());
                self.accounts.insert(key, header);
                let (account, count) = (account.0.clone(), header.joined_count);
                counts.push(Count::Groups { app, account, count, has_joined: true });
            }
            Effect::Left { app, account, slot, gno, report } => {
                let report = report.as_ref();
                counts.push(self.fold_left(AppId(*app), &account.0, Slot(*slot), Gno(*gno), report)?);
            }
            Effect::Ended { app, accounts, slot, gno, report } => {
                for account in accounts {
                    counts.push(self.fold_left(AppId(*app), &account.0, Slot(*slot), Gno(*gno), Some(report))?);
                }
            }
            Effect::Quota { app, day, delta } => {
                let (app, day, delta) = (AppId(*app), *day, *delta);
                let key = self.keys.quota(app, day);
                let net = self.tx.read(&key, decode::<i64>)?.unwrap_or(0) + delta;
                self.tx.put(key, encode(&net));
                counts.push(Count::Net { app, day, net, delta });
            }
            Effect::Told { app, account, report } => {
                let app = AppId(*app);
                let (key, mut header) = self.account(app, &account.0)?;
                self.append_report(app, &account.0, &mut header, Some(report));
                self.accounts.insert(key, header);
            }
            Effect::JoinedChanged { app, account, slot, gno, row } => {
                let (app, slot, gno) = (AppId(*app), Slot(*slot), Gno(*gno));
                if self.tx.read(&self.keys.joined(app, &account.0, slot, gno), |_| ())?.is_some() {
                    self.put_joined(app, &account.0, slot, gno, row);
                }
            }
        }
        Ok(())
    }

    fn fold_left(
        &mut self,
        app: AppId,
        account: &AccountId,
        slot: Slot,
        gno: Gno,
        report: Option<&FeedRow>,
    ) -> Result<Count, DiskError> {
        let (key, mut header) = self.account(app, account)?;
        self.tx.delete(self.keys.joined(app, account, slot, gno));
        let Some(count) = header.joined_count.checked_sub(1) else {
            panic!("{account} leaves gno {gno} of slot {} but has joined nothing", slot.0);
        };
        header.joined_count = count;
        self.append_report(app, account, &mut header, report);
        self.accounts.insert(key, header);
        Ok(Count::Groups { app, account: account.clone(), count, has_joined: false })
    }

    fn put_joined(&mut self, app: AppId, account: &AccountId, slot: Slot, gno: Gno, row: &JoinedRow) {
        self.tx.put(self.keys.joined(app, account, slot, gno), encode(row));
    }

    fn append_report(&mut self, app: AppId, account: &AccountId, header: &mut AccountHeader, report: Option<&FeedRow>) {
        let Some(report) = report else { return };
        header.feed_seq += 1;
        self.tx.put(self.keys.feed(app, account, header.feed_seq), encode(report));
        if let Some(oldest) = header.feed_seq.checked_sub(FEED_ROWS_MAX)
            && oldest > 0
        {
            self.tx.delete(self.keys.feed(app, account, oldest));
        }
    }

    /// The shard that an effect belongs to.
    pub fn target_of(&self, effect: &Effect) -> ShardId {
        let slot = match effect {
            Effect::Joined { app, account, .. }
            | Effect::Left { app, account, .. }
            | Effect::Told { app, account, .. }
            | Effect::JoinedChanged { app, account, .. } => slot_of_account(AppId(*app), &account.0),
            Effect::Quota { app, day, .. } => slot_of_quota(AppId(*app), *day),
            // All of them belong to one shard: whoever makes it sees to that.
            Effect::Ended { app, accounts, .. } => match accounts.first() {
                Some(account) => slot_of_account(AppId(*app), &account.0),
                None => return self.shard,
            },
        };
        shard_of_slot(slot, self.shards)
    }
}
