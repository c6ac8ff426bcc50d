//! Reads of the committed state, on the thread that asks.
//!
//! Rows are written before an outcome is given out; so one database view, taken behind a read barrier, holds every
//! change acknowledged before the request arrived. No actor is asked and none is activated.

mod all_groups;
mod groups;
mod joined;
mod members;
mod places;
mod restrictions;
mod shared;

use muster_cluster::{DiskError, Rows, Slot, View};

use self::members::Roster;
use super::codes::Head;
use crate::group::Facts;
use crate::id::{AppId, Gno, GroupId};
use crate::store::keys::slot_of_group;
use crate::store::{GroupHeader, Keys, Version, decode};

pub use all_groups::all_groups;
pub use groups::{LISTED_MEMBERS_MAX, group, head, version};
pub use joined::{Joined, ids_only, joined, joined_count, joined_group, keep_by_topics, page};
pub use members::{live_admins, members, members_walked, named_members};
pub use restrictions::{bans, muted};
pub use shared::{attributes, counters};

/// A group at one moment.
struct Opened<'a> {
    view: View<'a>,
    keys: Keys,
    slot: Slot,
    gno: Gno,
    version: Version,
    facts: Facts,
}

impl<'a> Opened<'a> {
    fn roster(&self) -> Roster<'_, 'a> {
        Roster { view: &self.view, keys: self.keys, slot: self.slot, gno: self.gno, facts: &self.facts }
    }
}

/// `None`: there is no such group.
fn open<'a>(rows: &'a Rows, app: AppId, id: &GroupId) -> Result<Option<Opened<'a>>, DiskError> {
    let view = rows.view();
    let keys = Keys::new(view.generation());
    let Some(header) = view.read(&keys.header(app, id), decode::<GroupHeader>)? else { return Ok(None) };
    let Head { gno, version, facts, .. } = Head::from(header);
    Ok(Some(Opened { view, keys, slot: slot_of_group(app, id), gno, version, facts }))
}
