//! Limits that other shards hold: what a command asks of their holders, and what this host grants as one.

use std::time::{Duration, Instant};

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use futures::FutureExt;
use muster_cluster::{DiskError, Leadership, Lookup, ShardHandle, ShardId};

use super::ShardHost;
use crate::actors::SubmitError;
use crate::actors::message::{Cancel, Reserve, Reserved, Submit, Turn};
use crate::actors::neighbours::{Neighbours, Wanted};
use crate::actors::quota::{day_of, takes_of};
use crate::group::{AppLimit, Limits};
use crate::id::{AccountId, AppId};
use crate::shard::{shard_of_app, shard_of_quota};
use crate::time::Stamp;

/// An account is far from its limit only if so many groups are missing; with smaller limits the holder is always asked.
const FAR_GROUPS_MIN: u64 = 1000;

/// How long ago a replica may last have been abreast of its leader for its counts to say that a limit is far: nobody
/// enters as many groups as are missing then in this time. One that is being filled or has stopped is behind by
/// anything. It hears of its leader several times a second; a pause beyond this only costs questions.
const BEHIND_MAX: Duration = Duration::from_secs(3);

const NO_HOLDER: SubmitError = SubmitError::Unavailable { what: "the holder of a limit has no leader" };

/// What a command hears that meets a limit whose rows the disk does not give.
pub(super) fn count_unreadable(error: &DiskError) -> SubmitError {
    tracing::error!(%error, "a count cannot be read");
    SubmitError::Unavailable { what: "a limit's rows cannot be read" }
}

/// Whether so many groups are far below `max`, by the rows of a replica that was abreast of its leader so long ago;
/// `None`: it never was.
fn is_far(count: u64, max: u64, behind: Option<Duration>) -> bool {
    let margin = (max / 2).max(FAR_GROUPS_MIN);
    behind.is_some_and(|behind| behind <= BEHIND_MAX) && count.saturating_add(margin) < max
}

impl ShardHost {
    /// Asks the holders of the limits that the command meets; most commands are far from all of them.
    pub(super) fn reserve(&mut self, submit: Submit, ctx: &mut Context<Self>) {
        let Submit { key, command, limits, request, unknown, call, .. } = submit;
        let takes = takes_of(&command, &limits);
        let mut reserved = Reserved::default();
        let Some(leading) = self.leading.as_ref() else { return };
        if takes.quota {
            reserved.quota_day = Some(day_of(Stamp(self.clock.now()), &limits));
        }
        let near = self.near_limit(key.app, &takes.accounts, &limits);
        let near = near.and_then(|near| Ok((near, self.near_app_limits(key.app, takes.app_limits, &limits)?)));
        let (near, near_app) = match near {
            Ok(near) => near,
            Err(error) => {
                call.span().in_scope(|| tracing::error!(%error, "a count cannot be read"));
                call.answer(Err(SubmitError::Unavailable { what: "a limit's rows cannot be read" }));
                return;
            }
        };
        let turn = Turn { command, limits: limits.clone(), request, is_first: false, unknown, call, reserved };
        let ask_quota = takes.adds_group.then_some(turn.reserved.quota_day).flatten();
        if near.is_empty() && ask_quota.is_none() && near_app.is_empty() {
            self.dispatch(key, turn, ctx);
            return;
        }
        let term = leading.shared.term;
        let wanted = Wanted { app: key.app, limits, accounts: near, quota_day: ask_quota, app_limits: near_app };
        let asked = self.ask(wanted, turn.call.deadline());
        ctx.spawn(asked.into_actor(self).map(move |granted, host, ctx| {
            let mut turn = turn;
            match granted {
                Ok(reserved) => {
                    // A command may count in a quota of which it takes nothing.
                    turn.reserved = Reserved { quota_day: turn.reserved.quota_day, ..reserved };
                    if host.leading.as_ref().is_some_and(|l| l.shared.term == term) {
                        host.dispatch(key, turn, ctx);
                    } else {
                        host.neighbours.cancel(key.app, &turn.reserved);
                        turn.call.answer(Err(SubmitError::Unavailable { what: "the leadership of the shard ended" }));
                    }
                }
                Err(error) => turn.call.answer(Err(error)),
            }
        }));
    }

    /// The named accounts that are not far below `limits.groups_per_user`, or may be near: their holders are asked. The
    /// rows of others may be behind by what is on its way and by [`BEHIND_MAX`], never by as much as the margin.
    fn near_limit(&self, app: AppId, accounts: &[AccountId], limits: &Limits) -> Result<Vec<AccountId>, DiskError> {
        let mut near = Vec::new();
        if limits.groups_per_user == 0 {
            return Ok(near);
        }
        for account in accounts {
            let Some(peer) = self.neighbours.peer(self.shard_of_account(app, account)) else { continue };
            // Before the rows: what they are then is not older.
            let behind = peer.handle.heard();
            let joined_count = match peer.lookups.joined_count_now(app, account)? {
                Lookup::Found(joined_count) => Some(joined_count),
                Lookup::Absent => Some(0),
                Lookup::Cold => None,
            };
            if !joined_count.is_some_and(|count| is_far(count, limits.groups_per_user, behind)) {
                near.push(account.clone());
            }
        }
        Ok(near)
    }

    /// The limits on all groups of the app that it is not far below of, as all shards' replicas here tell.
    fn near_app_limits(
        &self,
        app: AppId,
        app_limits: Vec<AppLimit>,
        limits: &Limits,
    ) -> Result<Vec<AppLimit>, DiskError> {
        let mut near = Vec::new();
        if app_limits.is_empty() {
            return Ok(near);
        }
        // The one that is furthest behind.
        let heard = self.neighbours.peers().iter().map(|peer| peer.handle.heard());
        let behind = heard.reduce(|furthest, heard| Some(furthest?.max(heard?))).flatten();
        for limit in app_limits {
            let max = limit.of(limits);
            // With few allowed nobody is far, and nothing need be counted.
            if !is_far(0, max, behind) || !is_far(count_groups(&self.neighbours, app, limit)?, max, behind) {
                near.push(limit);
            }
        }
        Ok(near)
    }

    /// Answers from what is known now, or after what was received is applied.
    ///
    /// What is full may have become less so by messages that were received and are not applied: their senders were
    /// answered and rely on them. So a limit refuses only after they are. What has room may have less: places that
    /// an earlier leadership held are forgotten while the messages that settle them are still on their way. So the
    /// first grant of a leadership waits, too.
    fn grant(&mut self, reserve: Reserve, mark: u64, ctx: &mut Context<Self>) {
        let Some(leading) = self.leading.as_mut() else {
            let _ = reserve.reply.send(Err(NO_HOLDER));
            return;
        };
        let groups = |limit| count_groups(&self.neighbours, reserve.app, limit);
        match leading.reservations.room(&leading.shared.lookups, &reserve, mark, groups) {
            Ok(room) if room.is_enough() && leading.is_counted => {
                let grant = leading.reservations.hold(reserve.app, room, Instant::now());
                let _ = reserve.reply.send(Ok(grant));
            }
            Ok(_) => {
                let (reply, applied) = tokio::sync::oneshot::channel();
                leading.inbox.wait(reply);
                let term = leading.shared.term;
                self.schedule_inbox(ctx);
                // However the wait ended: without a leadership the answer is that there is no holder.
                ctx.spawn(applied.into_actor(self).map(move |applied, host, _| {
                    let leading = host.leading.as_mut().filter(|leading| leading.shared.term == term);
                    if let (Some(leading), Ok(Ok(()))) = (leading, applied) {
                        leading.is_counted = true;
                    }
                    host.grant_now(reserve, term, mark);
                }));
            }
            Err(error) => {
                let _ = reserve.reply.send(Err(count_unreadable(&error)));
            }
        }
    }

    /// Holds what there is room for now.
    fn grant_now(&mut self, reserve: Reserve, term: u64, mark: u64) {
        let groups = |limit| count_groups(&self.neighbours, reserve.app, limit);
        let granted = match self.leading.as_mut().filter(|leading| leading.shared.term == term) {
            Some(leading) => match leading.reservations.room(&leading.shared.lookups, &reserve, mark, groups) {
                Ok(room) => Ok(leading.reservations.hold(reserve.app, room, Instant::now())),
                Err(error) => Err(count_unreadable(&error)),
            },
            None => Err(NO_HOLDER),
        };
        let _ = reserve.reply.send(granted);
    }

    /// Asks the holders of limits, each once for all that it holds.
    fn ask(
        &self,
        wanted: Wanted,
        deadline: Instant,
    ) -> impl Future<Output = Result<Reserved, SubmitError>> + 'static + use<> {
        let Wanted { app, limits, accounts, quota_day, app_limits } = wanted;
        let nothing = || Wanted { app, limits: limits.clone(), accounts: vec![], quota_day: None, app_limits: vec![] };
        let mut by_shard: Vec<(ShardId, Wanted)> = Vec::new();
        let mut at = |shard: ShardId| match by_shard.iter().position(|(s, _)| *s == shard) {
            Some(at) => at,
            None => {
                by_shard.push((shard, nothing()));
                by_shard.len() - 1
            }
        };
        let places: Vec<usize> = accounts.iter().map(|account| at(self.shard_of_account(app, account))).collect();
        let quota_place = quota_day.map(|day| at(shard_of_quota(app, day, self.shards)));
        let app_place = (!app_limits.is_empty()).then(|| at(shard_of_app(app, self.shards)));
        for (place, account) in places.into_iter().zip(accounts) {
            by_shard[place].1.accounts.push(account);
        }
        if let Some(place) = quota_place {
            by_shard[place].1.quota_day = quota_day;
        }
        if let Some(place) = app_place {
            by_shard[place].1.app_limits = app_limits;
        }
        let neighbours = self.neighbours.clone();
        async move {
            let asked = by_shard.into_iter().map(|(shard, wanted)| neighbours.reserve(shard, wanted, deadline));
            let mut all = Reserved { quota_day, ..Reserved::default() };
            let mut failure = None;
            for grant in futures::future::join_all(asked).await {
                let grant = match grant {
                    Ok(grant) => grant,
                    Err(error) => {
                        failure = Some(error);
                        continue;
                    }
                };
                let place = grant.place;
                all.full.extend(grant.full);
                all.held.extend(grant.held.into_iter().map(|account| (account, place)));
                all.quota_spent |= grant.quota_spent;
                all.quota_held = all.quota_held.or(grant.quota_held.then_some(place));
                all.app_full = all.app_full.or(grant.app_full);
                if !grant.app_held.is_empty() {
                    // One shard holds all limits of an app.
                    (all.app_held, all.app_place) = (grant.app_held, place);
                }
            }
            let Some(error) = failure else { return Ok(all) };
            // Nothing comes of the command, so what others hold for it is free.
            neighbours.cancel(app, &all);
            Err(error)
        }
    }
}

/// The groups of an app that a limit is about: every shard counts its own.
fn count_groups(neighbours: &Neighbours, app: AppId, limit: AppLimit) -> Result<u64, DiskError> {
    let mut count = 0;
    for (shard, peer) in neighbours.peers().iter().enumerate() {
        count += peer.lookups.groups(ShardId(shard as u16), app, limit.kinds())?;
    }
    Ok(count)
}

impl Handler<Reserve> for ShardHost {
    type Result = ();

    /// The answer rests on this leadership, and on the rows of other shards where groups of an app are counted: a
    /// leader that was deposed grants nothing, and every group that was acknowledged is counted.
    fn handle(&mut self, reserve: Reserve, ctx: &mut Self::Context) {
        let Some(leading) = self.leading.as_ref() else {
            let _ = reserve.reply.send(Err(NO_HOLDER));
            return;
        };
        let leadership = Leadership { term: leading.shared.term };
        if !leading.is_counted && !self.neighbours.recovered().contains(self.shard, leadership) {
            let _ = reserve.reply.send(Err(SubmitError::Unavailable { what: "the holder of a limit is recovering" }));
            return;
        }
        let mark = leading.reservations.mark();
        let others: Vec<ShardHandle> = match reserve.app_limits.is_empty() {
            true => Vec::new(),
            false => {
                let peers = self.neighbours.peers().iter().map(|peer| peer.handle.clone());
                peers.filter(|handle| handle.id() != self.shard).collect()
            }
        };
        let handle = self.handle.clone();
        let mut current = Box::pin(async move {
            let others = futures::future::try_join_all(others.iter().map(ShardHandle::read_barrier));
            futures::try_join!(handle.confirm(leadership), others).is_ok()
        });
        let go_on = move |is_current, host: &mut Self, ctx: &mut Context<Self>| {
            let leads = host.leading.as_ref().is_some_and(|l| l.shared.term == leadership.term);
            if is_current && leads {
                host.grant(reserve, mark, ctx);
            } else {
                let _ = reserve.reply.send(Err(NO_HOLDER));
            }
        };
        match (&mut current).now_or_never() {
            Some(is_current) => go_on(is_current, self, ctx),
            None => {
                ctx.spawn(current.into_actor(self).map(go_on));
            }
        }
    }
}

impl Handler<Cancel> for ShardHost {
    type Result = ();

    fn handle(&mut self, cancel: Cancel, _ctx: &mut Self::Context) {
        if let Some(leading) = self.leading.as_mut() {
            leading.reservations.cancel(cancel, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_far_from_its_limit_only_if_the_rows_are_of_late() {
        let max = 10 * FAR_GROUPS_MIN;
        let now = Some(Duration::ZERO);
        assert!(is_far(0, max, now) && is_far(max / 2 - 1, max, now));
        assert!(!is_far(max / 2, max, now) && !is_far(0, FAR_GROUPS_MIN, now));
        // A replica that is being filled has no groups yet, and one that stopped those of then.
        assert!(!is_far(0, max, None));
        assert!(is_far(0, max, Some(BEHIND_MAX)));
        assert!(!is_far(0, max, Some(BEHIND_MAX + Duration::from_millis(1))));
    }
}
