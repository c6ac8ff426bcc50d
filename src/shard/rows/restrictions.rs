//! Who may not speak and who may not enter, members or not.
//!
//! A row of its own is the authority; a member's two rows hold a copy of its mute, which is right until it is over:
//! a row that is over is swept away some time later, and the copy then is not looked for.

use muster_cluster::{DiskError, Slot};

use super::Writer;
use crate::id::{AccountId, Gno};
use crate::shard::codes::is_over;
use crate::store::{BanRow, decode, encode};

/// Rows that one sweep looks at, beside those that a command names.
const SWEPT_ROWS_MAX: usize = 16;

impl Writer<'_, '_> {
    /// Unix seconds until which an account is muted; 0: it has no row.
    pub fn muted_until(&self, slot: Slot, gno: Gno, account: &AccountId) -> Result<u64, DiskError> {
        Ok(self.tx.read(&self.keys.mute(slot, gno, account), decode::<u64>)?.unwrap_or(0))
    }

    /// Mutes an account, or lets it speak again with `until` 0; `count` is that of the group's mute rows.
    pub fn mute(
        &mut self,
        slot: Slot,
        gno: Gno,
        account: &AccountId,
        until: u64,
        count: &mut u32,
    ) -> Result<(), DiskError> {
        let key = self.keys.mute(slot, gno, account);
        self.restrict(key, (until > 0).then(|| encode(&until)), count)?;
        if let Some(mut stored) = self.stored(slot, gno, account)?
            && stored.key.mute_until != until
        {
            (stored.key.mute_until, stored.row.mute_until) = (until, until);
            self.put_member_key(slot, gno, &stored);
            self.put_member_row(slot, gno, &stored);
        }
        Ok(())
    }

    /// Bans an account, or lets it in again with `None`; `count` is that of the group's ban rows.
    pub fn ban(
        &mut self,
        slot: Slot,
        gno: Gno,
        account: &AccountId,
        ban: Option<&BanRow>,
        count: &mut u32,
    ) -> Result<(), DiskError> {
        let key = self.keys.ban(slot, gno, account);
        self.restrict(key, ban.map(encode), count)
    }

    fn restrict(&mut self, key: Vec<u8>, value: Option<Vec<u8>>, count: &mut u32) -> Result<(), DiskError> {
        // A group without such rows is not asked for one.
        let is_there = *count > 0 && self.tx.read(&key, |_| ())?.is_some();
        match (is_there, value) {
            (_, Some(value)) => {
                *count += u32::from(!is_there);
                self.tx.put(key, value);
            }
            (true, None) => {
                *count -= 1;
                self.tx.delete(key);
            }
            (false, None) => {}
        }
        Ok(())
    }

    /// Deletes some mutes that are over, behind the account and then from the first on.
    pub fn sweep_mutes(
        &mut self,
        slot: Slot,
        gno: Gno,
        behind: &AccountId,
        now_secs: u64,
        count: &mut u32,
    ) -> Result<(), DiskError> {
        let (range, behind) = (self.keys.mutes(slot, gno), self.keys.mute(slot, gno, behind));
        self.sweep(range, behind, count, |value| is_over(decode(value), now_secs))
    }

    /// The same for bans.
    pub fn sweep_bans(
        &mut self,
        slot: Slot,
        gno: Gno,
        behind: &AccountId,
        now_secs: u64,
        count: &mut u32,
    ) -> Result<(), DiskError> {
        let (range, behind) = (self.keys.bans(slot, gno), self.keys.ban(slot, gno, behind));
        self.sweep(range, behind, count, |value| is_over(decode::<BanRow>(value).until, now_secs))
    }

    fn sweep(
        &mut self,
        (first, end): (Vec<u8>, Vec<u8>),
        mut behind: Vec<u8>,
        count: &mut u32,
        is_over: impl Fn(&[u8]) -> bool,
    ) -> Result<(), DiskError> {
        if *count == 0 {
            return Ok(());
        }
        behind.push(0);
        let mut rows = self.tx.scan(&behind, &end, SWEPT_ROWS_MAX)?;
        // Accounts at the end are named as often as others; without going round, the first would never be reached.
        rows.extend(self.tx.scan(&first, &behind, SWEPT_ROWS_MAX - rows.len())?);
        for (key, _) in rows.iter().filter(|(_, value)| is_over(value)) {
            self.tx.delete(key.to_vec());
            *count -= 1;
        }
        Ok(())
    }
}
