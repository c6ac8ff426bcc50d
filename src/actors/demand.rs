//! Rows on demand: what a turn is judged by, read into the group it is about.
//!
//! A row that memory or the block cache has is taken at once; the others are read together, where waiting is
//! allowed. It decides nothing, and it knows nothing of turns: who waits for what is the group actor's business.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use muster_cluster::{DiskError, Lookup, ShardId, Slot};
use rustc_hash::FxBuildHasher;

use super::message::GroupKey;
use crate::group::{Card, Command, Group, Kind, Member, Needs, Profile, Restriction};
use crate::id::{AccountId, Gno};
use crate::shard::{ClientRequest, Head, Lookups, RequestAnswer};
use crate::time::Stamp;

/// What a command is about. Made once for a turn that waits: whoever comes later is compared with all of these.
#[derive(Debug)]
pub(super) struct Subject {
    needs: Needs,
    /// Hashes of the accounts that are named, in order. Should two accounts have the same, a turn waits that need not.
    named: Vec<u64>,
}

impl Subject {
    pub fn of(command: &Command) -> Self {
        let named = command.named_accounts();
        let mut named: Vec<u64> = named.into_iter().map(|account| FxBuildHasher.hash_one(account)).collect();
        named.sort_unstable();
        Self { needs: command.needs(), named }
    }

    /// Whether two commands are about something in common; then the second may not overtake the first.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (needs, others) = (self.needs, other.needs);
        if needs.profile && others.profile || needs.attributes && others.attributes || needs.counters && others.counters
        {
            return true;
        }
        // Whoever owns the group is named by nobody and changed by a transfer.
        if needs.owner && !other.named.is_empty() || others.owner && !self.named.is_empty() {
            return true;
        }
        let mut theirs = other.named.iter().peekable();
        self.named.iter().any(|account| {
            while theirs.next_if(|their| *their < account).is_some() {}
            theirs.peek() == Some(&account)
        })
    }
}

/// Rows that a turn needs and that only the disk has.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    header: bool,
    /// Of the group; cards are read with it.
    kind: Option<Kind>,
    profile: bool,
    attributes: bool,
    counters: bool,
    members: Vec<AccountId>,
    /// Of members whose place is known, and of those who are wanted above.
    cards: Vec<(AccountId, Option<u64>)>,
    restrictions: Vec<AccountId>,
}

impl Wanted {
    pub fn is_empty(&self) -> bool {
        let shared = self.header || self.profile || self.attributes || self.counters;
        !shared && self.members.is_empty() && self.cards.is_empty() && self.restrictions.is_empty()
    }
}

/// Rows of one group that were read where waiting is allowed.
#[derive(Default)]
pub(super) struct Read {
    header: Option<Head>,
    /// The group they belong to: one disbanded meanwhile must not lend its rows to the next of its name.
    gno: Option<Gno>,
    profile: Option<Profile>,
    attributes: Option<BTreeMap<String, String>>,
    counters: Option<BTreeMap<String, i64>>,
    members: Vec<(AccountId, Option<Member>)>,
    cards: Vec<(AccountId, Card)>,
    restrictions: Vec<(AccountId, Restriction)>,
}

/// Where a group's rows are.
#[derive(Clone)]
pub(super) struct Place {
    pub lookups: Lookups,
    pub key: GroupKey,
    pub slot: Slot,
    pub gno: Option<Gno>,
}

impl Place {
    /// Makes known what the command is judged by, as far as it is to be had at once; gives what is not.
    ///
    /// With no `gno` the group is under creation, unless `is_created`: then its number is still to be read.
    ///
    /// # Errors
    /// A row that cannot be read.
    pub fn learn(&mut self, group: &mut Group, command: &Command, is_created: bool) -> Result<Wanted, DiskError> {
        let mut wanted = Wanted { kind: Some(group.facts().kind), ..Wanted::default() };
        if self.gno.is_none() && is_created {
            match self.lookups.header_now(self.key.app, &self.key.id)? {
                Lookup::Found(header) => self.gno = Some(header.gno),
                Lookup::Absent => panic!("group {} was created and has no header row", self.key.id),
                Lookup::Cold => wanted.header = true,
            }
        }
        self.learn_shared(group, command, &mut wanted)?;
        self.learn_accounts(group, command, &mut wanted)?;
        Ok(wanted)
    }

    /// Texts, attributes, counters. A group under creation has all of them in memory.
    fn learn_shared(&self, group: &mut Group, command: &Command, wanted: &mut Wanted) -> Result<(), DiskError> {
        let needs = command.needs();
        if needs.profile && group.profile().is_none() {
            match self.gno.map(|gno| self.lookups.profile_now(self.slot, gno)).transpose()? {
                Some(Lookup::Found(profile)) => group.learn_profile(profile),
                Some(Lookup::Absent) => panic!("group {} has no profile row", self.key.id),
                Some(Lookup::Cold) | None => wanted.profile = true,
            }
        }
        wanted.attributes = needs.attributes && group.attributes().is_none();
        wanted.counters = needs.counters && group.counters().is_none();
        Ok(())
    }

    fn learn_accounts(&self, group: &mut Group, command: &Command, wanted: &mut Wanted) -> Result<(), DiskError> {
        let needs = command.needs();
        let owner = group.facts().owner.clone().filter(|_| needs.owner && group.facts().kind.stores_members());
        for account in command.named_accounts().into_iter().chain(owner.as_ref()) {
            self.learn_member(group, account, wanted)?;
            // Admins of a live room are known by name, and have no card.
            if needs.cards && group.facts().kind.stores_members() {
                self.learn_card(group, account, wanted)?;
            }
            if needs.restrictions && !group.knows_restriction(account) {
                let kind = group.facts().kind;
                match self.gno.map(|gno| self.lookups.restriction_now(self.slot, gno, account, kind)).transpose()? {
                    Some(Lookup::Found(restriction)) => group.learn_restriction(account.clone(), restriction),
                    Some(Lookup::Absent) => group.learn_restriction(account.clone(), Restriction::default()),
                    None if !wanted.header => group.learn_restriction(account.clone(), Restriction::default()),
                    Some(Lookup::Cold) | None => wanted.restrictions.push(account.clone()),
                }
            }
        }
        Ok(())
    }

    fn learn_member(&self, group: &mut Group, account: &AccountId, wanted: &mut Wanted) -> Result<(), DiskError> {
        if group.knows(account) {
            return Ok(());
        }
        match self.gno.map(|gno| self.lookups.member_now(self.slot, gno, account)).transpose()? {
            Some(Lookup::Found(member)) => group.learn(account.clone(), Some(member)),
            Some(Lookup::Absent) => group.learn(account.clone(), None),
            // Nobody is a member of a group under creation but those whom its entries name.
            None if !wanted.header => group.learn(account.clone(), None),
            Some(Lookup::Cold) | None => wanted.members.push(account.clone()),
        }
        Ok(())
    }

    fn learn_card(&self, group: &mut Group, account: &AccountId, wanted: &mut Wanted) -> Result<(), DiskError> {
        if group.knows_card(account) {
            return Ok(());
        }
        if !group.knows(account) {
            wanted.cards.push((account.clone(), None));
            return Ok(());
        }
        let Some(member) = group.member(account).copied() else { return Ok(()) };
        let Some(gno) = self.gno else {
            wanted.cards.push((account.clone(), Some(member.join_seq)));
            return Ok(());
        };
        match self.lookups.card_now(self.slot, gno, member.join_seq, group.facts().kind)? {
            Lookup::Found(card) => group.learn_card(account.clone(), card),
            Lookup::Absent => panic!("{account} of group {} is known by name and not by place", self.key.id),
            Lookup::Cold => wanted.cards.push((account.clone(), Some(member.join_seq))),
        }
        Ok(())
    }

    /// Reads what is wanted; waits for the disk.
    ///
    /// # Errors
    /// A row that cannot be read.
    pub fn read(self, wanted: Wanted) -> Result<Read, DiskError> {
        let mut read = Read::default();
        if wanted.header {
            read.header = self.lookups.header(self.key.app, &self.key.id)?;
        }
        let Some(gno) = self.gno.or(read.header.as_ref().map(|head| head.gno)) else { return Ok(read) };
        read.gno = Some(gno);
        let (lookups, slot) = (&self.lookups, self.slot);
        if wanted.profile {
            read.profile = lookups.profile(slot, gno)?;
        }
        if wanted.attributes {
            read.attributes = Some(lookups.attributes(slot, gno)?);
        }
        if wanted.counters {
            read.counters = Some(lookups.counters(slot, gno)?);
        }
        for account in wanted.members {
            let member = lookups.member(slot, gno, &account)?;
            read.members.push((account, member));
        }
        for (account, join_seq) in wanted.cards {
            let found = read.members.iter().find(|(name, _)| *name == account).and_then(|(_, member)| *member);
            let Some(join_seq) = join_seq.or(found.map(|member| member.join_seq)) else { continue };
            let Some(kind) = wanted.kind else { continue };
            if let Some(card) = lookups.card(slot, gno, join_seq, kind)? {
                read.cards.push((account, card));
            }
        }
        for account in wanted.restrictions {
            let restriction = lookups.restriction(slot, gno, &account)?;
            read.restrictions.push((account, restriction));
        }
        Ok(read)
    }

    /// Takes rows over, if they are of this group. What an entry decided meanwhile has left in memory knows better.
    pub fn take(&mut self, group: &mut Group, read: Read) {
        if let Some(header) = read.header
            && self.gno.is_none()
        {
            self.gno = Some(header.gno);
        }
        if self.gno.is_none() || read.gno != self.gno {
            return;
        }
        if let Some(profile) = read.profile.filter(|_| group.profile().is_none()) {
            group.learn_profile(profile);
        }
        if let Some(attributes) = read.attributes.filter(|_| group.attributes().is_none()) {
            group.learn_attributes(attributes);
        }
        if let Some(counters) = read.counters.filter(|_| group.counters().is_none()) {
            group.learn_counters(counters);
        }
        for (account, member) in read.members {
            if !group.knows(&account) {
                group.learn(account, member);
            }
        }
        for (account, card) in read.cards {
            if !group.knows_card(&account) {
                group.learn_card(account, card);
            }
        }
        for (account, restriction) in read.restrictions {
            if !group.knows_restriction(&account) {
                group.learn_restriction(account, restriction);
            }
        }
    }

    /// What the caller's request came to earlier; `None`: only the disk can tell.
    ///
    /// # Errors
    /// A row that cannot be read.
    pub fn earlier_now(
        &self,
        shard: ShardId,
        request: &ClientRequest,
        at: Stamp,
    ) -> Result<Lookup<RequestAnswer>, DiskError> {
        self.lookups.request_now(shard, request.name(self.key.app, Some(&self.key.id)), at)
    }

    /// The same, where waiting is allowed; `None`: nothing came of it.
    ///
    /// # Errors
    /// A row that cannot be read.
    pub fn earlier(
        &self,
        shard: ShardId,
        request: &ClientRequest,
        at: Stamp,
    ) -> Result<Option<RequestAnswer>, DiskError> {
        self.lookups.request(shard, request.name(self.key.app, Some(&self.key.id)), at)
    }
}

#[cfg(test)]
mod tests {
    use muster_cluster::testing::Bench;

    use super::*;
    use crate::group::testing::{a_group, account};
    use crate::group::{Event, Role, evolve};
    use crate::id::{AppId, GroupId};

    #[test]
    fn what_an_entry_left_in_memory_knows_better_than_rows_read_before_it() {
        let gno = Some(Gno(7));
        let key = GroupKey { app: AppId(1), id: GroupId::parse("g").unwrap() };
        let lookups = Lookups::new(Bench::default().rows().clone());
        let mut place = Place { lookups, key, slot: Slot(0), gno };
        let (ann, bob) = (account("ann"), account("bob"));
        let mut group = Some(a_group(Kind::Public).member("ann").build());
        // Read when ann was a member; she was removed before the rows arrived.
        let rows = |account: &AccountId| (account.clone(), Some(Member { role: Role::Admin, join_seq: 1 }));
        let read = || Read { gno, members: vec![rows(&ann), rows(&bob)], ..Read::default() };
        let removed = Event::MembersRemoved { accounts: vec![ann.clone()], at: Stamp(1) };
        evolve(&mut group, &removed);
        let mut group = group.unwrap();
        place.take(&mut group, read());
        assert_eq!(group.member(&ann), None);
        assert_eq!(group.member(&bob).map(|member| member.role), Some(Role::Admin));
        // Rows of an earlier group of the name say nothing of this one.
        let mut another = a_group(Kind::Public).build();
        place.take(&mut another, Read { gno: Some(Gno(6)), ..read() });
        assert!(!another.knows(&bob));
    }
}
