//! The doctor in a running node: all rows from one view.
//!
//! A view shows the replicas of all shards at one moment of this node, and they need not be equally far: where a shard
//! that this node follows is behind, another one may have taken a message of it that is not here yet. So a view is
//! awaited in which nobody is ahead; and what differs then is looked at again. A fault stays, what is under way does not.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::time::Duration;

use muster_cluster::{Cluster, DiskError, NodeView, SLOTS, ShardId};

use super::{DIFFERENCES_LISTED_MAX, Findings, look_through_unlisted};
use crate::store::keys;
use crate::store::{Key, OutboxHead, decode};

/// Views that are taken until there is one in which no shard is ahead of another.
const VIEWS_MAX: u32 = 40;
/// A heartbeat tells a follower of the last commit after 150 ms at most.
const VIEW_EVERY: Duration = Duration::from_millis(25);
/// A difference must be there in so many looks.
const LOOKS: u32 = 3;
/// What was under way in one look has arrived in the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Rows between two questions whether to go on.
const ROWS_PER_ASKING: u64 = 1024;

/// What came of it.
#[derive(Debug)]
pub struct Examined {
    pub findings: Findings,
    /// A shard that was ahead of another one in every view, however long it was waited for: target and source.
    pub ahead: Option<(ShardId, ShardId)>,
}

/// Why rows were not read to the end.
enum Over {
    Unwanted,
    Failed(DiskError),
}

/// Looks through the rows of a running node. Blocks the thread, for long. `go_on` hears now and then how many rows have
/// been read since it was last asked; after a no there is no answer.
///
/// # Errors
/// The disk has failed.
pub fn examine(cluster: &Cluster, mut go_on: impl FnMut(u64) -> bool) -> Result<Option<Examined>, DiskError> {
    let mut examined: Option<Examined> = None;
    for look in 0..LOOKS {
        if look > 0 {
            std::thread::sleep(LOOK_EVERY);
        }
        let (view, ahead) = settled_view(cluster)?;
        let findings = match look_at(&view, &mut go_on) {
            Ok(findings) => findings,
            Err(Over::Unwanted) => return Ok(None),
            Err(Over::Failed(error)) => return Err(error),
        };
        let again = match examined {
            None => Examined { findings, ahead },
            Some(before) => Examined {
                ahead: before.ahead.filter(|pair| ahead == Some(*pair)),
                findings: still_there(before.findings, findings),
            },
        };
        let is_settled = again.findings.difference_count == 0 && again.ahead.is_none();
        examined = Some(again);
        if is_settled {
            break;
        }
    }
    Ok(examined.map(|mut examined| {
        examined.findings.differences.truncate(DIFFERENCES_LISTED_MAX);
        examined
    }))
}

/// What differs now and did before. Of differences that nobody kept it is not known: they count.
fn still_there(before: Findings, now: Findings) -> Findings {
    let not_kept = now.difference_count - now.differences.len();
    let found: BTreeSet<String> = now.differences.into_iter().collect();
    let differences: Vec<String> = before.differences.into_iter().filter(|one| found.contains(one)).collect();
    Findings { difference_count: differences.len() + not_kept, differences, ..now }
}

/// A view in which no shard is ahead of another, or the last one tried, and who was ahead of whom in it.
fn settled_view(cluster: &Cluster) -> Result<(NodeView<'_>, Option<(ShardId, ShardId)>), DiskError> {
    for _ in 1..VIEWS_MAX {
        let view = cluster.view();
        if who_is_ahead(&view)?.is_none() {
            return Ok((view, None));
        }
        drop(view);
        std::thread::sleep(VIEW_EVERY);
    }
    let view = cluster.view();
    let ahead = who_is_ahead(&view)?;
    Ok((view, ahead))
}

/// A shard that has taken a message which its source has not sent in this view.
fn who_is_ahead(view: &NodeView<'_>) -> Result<Option<(ShardId, ShardId)>, DiskError> {
    let (mut next, mut cursors) = (HashMap::new(), Vec::new());
    for slot in SLOTS..SLOTS + view.shards() {
        view.scan_kind(slot, keys::OUTBOX_HEAD, |key, value| {
            if let Some(Key::OutboxHead { source, target }) = Key::parse(key) {
                next.insert((source, target), decode::<OutboxHead>(value).next);
            }
        })?;
        view.scan_kind(slot, keys::INBOX_CURSOR, |key, value| {
            if let Some(Key::InboxCursor { target, source }) = Key::parse(key) {
                cursors.push((target, source, decode::<u64>(value)));
            }
        })?;
    }
    let sent = |source: ShardId, target: ShardId| next.get(&(source, target)).map_or(0, |next| next - 1);
    let ahead = cursors.into_iter().find(|(target, source, cursor)| *cursor > sent(*source, *target));
    Ok(ahead.map(|(target, source, _)| (target, source)))
}

fn look_at(view: &NodeView<'_>, go_on: &mut impl FnMut(u64) -> bool) -> Result<Findings, Over> {
    look_through_unlisted(view.shards(), |slots, each| {
        let (mut unsaid, mut is_wanted) = (0, true);
        let read = view.scan(slots, |slot, key, value| {
            each(slot, key, value);
            unsaid += 1;
            if unsaid == ROWS_PER_ASKING {
                is_wanted = go_on(std::mem::take(&mut unsaid));
            }
            if is_wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        read.map_err(Over::Failed)?;
        if is_wanted && go_on(unsaid) { Ok(()) } else { Err(Over::Unwanted) }
    })
}
