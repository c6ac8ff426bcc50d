//! Who is let in, and who is told at once that there is too much to do: 60018, nothing happened.
//!
//! ```text
//!            more than CALM_MAX wait, all through OVERLOADED_AFTER, and not for the disk
//!     calm ───────────────────────────────────────────────────────────────────────────────────► shedding
//!   lets all in ◄──────────────────────────────────────────────────────────────── lets few in at a time
//!            less than one in ten was refused for CALM_AFTER, or for PROBED_AFTER of a probe
//! ```
//!
//! A queue that comes and goes is good: it is a burst, or the disk has hesitated, and waiting is what a caller would
//! choose. A queue that *stands* while the node works at its full rate only makes everybody wait; then fewer are let
//! in, so that those are answered about as fast as ever. What stands is the least number that was under way within an
//! interval, as in the CoDel discipline of routers (RFC 8289).
//!
//! Requests whose change is being flushed wait for the disk and not for each other. On a slow disk many such are
//! needed to keep the node busy, so the bounds grow with the time that a flush takes: [`Interval::at_disk`]. While one
//! flush lasts for a whole interval the queue is no fault of the callers. That is asked of the disk itself: answers come
//! in lumps where many wait, the more so the slower the node is, so that none for a while says nothing.
//!
//! Two places are looked at, as a request may wait in two. Behind the door it is under way. Before it, it lies in a
//! socket while its HTTP worker is busy with others; what a worker takes up in one round of its loop is what lay there.
//! A read is often answered in one go, so the second place is the only one where reads can be seen to wait.
//!
//! Reads and changes have a lane each: a disk that hesitates holds up changes only, and no read is refused for that.
//!
//! Deliberately not here: how fast one app may ask (`rates`), and the queues behind the door, which refuse by
//! themselves when they are full.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How often a lane is judged. Shorter than anybody notices, longer than a usual request takes.
const INTERVAL: Duration = Duration::from_millis(50);
/// So many under way at once are never a reason to refuse anybody: busy servers keep a few hundred connections.
const CALM_MAX: usize = 256;
/// So many are let in at a time while a lane sheds load, per core, beside those that wait for the disk: entries of the
/// log are well filled then, and more only wait. The same however fast answers come: a node that is slow because it has
/// much else to do would be slower still with fewer, as every flush and every wake-up then serves fewer.
const SHEDDING_PER_CORE: usize = 32;
/// How long a queue must stand. Longer than bursts take, and a small part of what callers wait for at most.
const OVERLOADED_AFTER: Duration = Duration::from_millis(500);
/// A queue may stand for so many times the stall before it. What came in meanwhile is worked off by what the load
/// leaves free: at four fifths of the peak that takes four times as long as it took to pile up.
const GRACE_PER_STALL: u32 = 4;
/// Bound of that: a disk that stalls all the time does not take more and more in.
const GRACE_MAX: Duration = Duration::from_secs(5);
/// How long next to nobody must be refused until all are let in again.
const CALM_AFTER: Duration = Duration::from_secs(1);
/// How often a shedding lane lets CALM_MAX in for one interval, and for longer as long as next to nobody is refused then.
/// Callers who ask again at once when they are refused look like many; this shows that they are few. Rare, as those it
/// lets in wait longer than usual.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// How long next to nobody must be refused in a probe until all are let in again. More than one interval: on a node
/// short of processors there are some in which hardly anybody gets as far as the door.
const PROBED_AFTER: Duration = Duration::from_millis(250);
/// The longest that becomes: it doubles each time too much comes again right after all were let in.
const PROBE_EVERY_MAX: Duration = Duration::from_secs(320);
/// One refused to so many let in is next to nobody: chance alone brings some together.
const NEXT_TO_NOBODY: u64 = 10;

/// What a request wants: two kinds that do not wait for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Reads,
    Changes,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// `actors.inflight_max` are under way.
    Full,
    /// More come than can be answered.
    Overloaded,
}

/// What flushes of the disk take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flushes {
    /// These days.
    pub usual: Duration,
    /// The one that is under way, until now; 0 if none is.
    pub current: Duration,
}

thread_local! {
    /// The round of this thread's loop, if it is an HTTP worker.
    static ROUND: Round = const { Round::new() };
}

/// What an HTTP worker has taken up since its loop came round.
struct Round {
    is_counted: Cell<bool>,
    is_open: Cell<bool>,
    /// By lane.
    came: [Cell<usize>; 2],
    let_in: [Cell<usize>; 2],
}

impl Round {
    const fn new() -> Self {
        Self {
            is_counted: Cell::new(false),
            is_open: Cell::new(false),
            came: [const { Cell::new(0) }; 2],
            let_in: [const { Cell::new(0) }; 2],
        }
    }
}

/// The door's count of requests under way, and its bounds.
pub struct Admission {
    under_way: AtomicUsize,
    under_way_max: usize,
    /// HTTP workers that have had anything to do.
    workers: AtomicUsize,
    /// By lane.
    gates: [Gate; 2],
    flushes: Box<dyn Fn() -> Flushes + Send + Sync>,
}

impl Admission {
    pub fn new(under_way_max: usize, began: Instant, flushes: impl Fn() -> Flushes + Send + Sync + 'static) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let places = cores * SHEDDING_PER_CORE;
        Self {
            under_way: AtomicUsize::new(0),
            under_way_max,
            workers: AtomicUsize::new(0),
            gates: [Gate::new(began, places), Gate::new(began, places)],
            flushes: Box::new(flushes),
        }
    }

    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Whether a lane refuses some of those who come.
    pub fn is_shedding(&self, lane: Lane) -> bool {
        self.gate(lane).window.load(Ordering::Relaxed) != usize::MAX
    }

    /// Counts the requests that this HTTP worker takes up until its loop has come round: until everything that is ready
    /// now has had its turn. To be called by the worker for every request, before [`Self::admit`].
    pub fn open_round(self: &Arc<Self>) {
        ROUND.with(|round| {
            if round.is_open.replace(true) {
                return;
            }
            if !round.is_counted.replace(true) {
                self.workers.fetch_add(1, Ordering::Relaxed);
            }
            let admission = self.clone();
            // Queued behind all that is ready.
            actix_web::rt::spawn(async move { admission.close_round() });
        });
    }

    fn close_round(&self) {
        let workers = self.workers.load(Ordering::Relaxed);
        ROUND.with(|round| {
            round.is_open.set(false);
            for (lane, gate) in self.gates.iter().enumerate() {
                // Connections are dealt out evenly, so the other workers find as many.
                gate.lowest_round.fetch_min(round.came[lane].take() * workers, Ordering::Relaxed);
                round.let_in[lane].set(0);
            }
        });
    }

    /// Whether one more of this round is let in, if no more than so many are at a time.
    fn has_room_in_round(&self, lane: Lane, window: usize) -> bool {
        let of_each = (window / self.workers.load(Ordering::Relaxed).max(1)).max(1);
        ROUND.with(|round| {
            let came = &round.came[lane as usize];
            came.set(came.get() + 1);
            let let_in = &round.let_in[lane as usize];
            let has_room = let_in.get() < of_each;
            let_in.set(let_in.get() + usize::from(has_room));
            has_room
        })
    }

    /// Lets a request in, or says why not. Costs a few counters: it comes before any work is done for the request.
    ///
    /// # Errors
    /// [`NotNow`].
    pub fn admit(&self, lane: Lane, now: Instant) -> Result<Place<'_>, NotNow> {
        self.admit_if(lane, now, |window| self.has_room_in_round(lane, window))
    }

    /// As [`Self::admit`], for a request that another node let in: no HTTP worker of this one has taken it up.
    ///
    /// # Errors
    /// [`NotNow`].
    pub fn admit_forwarded(&self, lane: Lane, now: Instant) -> Result<Place<'_>, NotNow> {
        self.admit_if(lane, now, |_| true)
    }

    fn admit_if(&self, lane: Lane, now: Instant, has_room: impl FnOnce(usize) -> bool) -> Result<Place<'_>, NotNow> {
        let gate = self.gate(lane);
        gate.judge_if_due(now, || self.flushes_of(lane));
        let window = gate.window.load(Ordering::Relaxed);
        if gate.under_way.load(Ordering::Relaxed) >= window || !has_room(window) {
            gate.refused.fetch_add(1, Ordering::Relaxed);
            return Err(NotNow::Overloaded);
        }
        let under_way = self.under_way.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.under_way);
        if under_way >= self.under_way_max { Err(NotNow::Full) } else { Ok(place) }
    }

    /// Counts a request of which all has arrived, until its answer is ready. Not before: senders who take their time
    /// are no load.
    pub fn begin(&self, lane: Lane) -> Turn<'_> {
        let gate = self.gate(lane);
        gate.under_way.fetch_add(1, Ordering::Relaxed);
        Turn(gate)
    }

    fn gate(&self, lane: Lane) -> &Gate {
        &self.gates[lane as usize]
    }

    fn flushes_of(&self, lane: Lane) -> Flushes {
        match lane {
            Lane::Reads => Flushes::default(),
            Lane::Changes => (self.flushes)(),
        }
    }
}

/// A request's place among those under way; leaves it when dropped, also when the client went away.
pub struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that is worked on.
pub struct Turn<'a>(&'a Gate);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let left = self.0.under_way.fetch_sub(1, Ordering::Relaxed) - 1;
        self.0.lowest.fetch_min(left, Ordering::Relaxed);
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// One lane: counts what passes, and has it judged once per interval, by whoever comes first then.
struct Gate {
    began: Instant,
    under_way: AtomicUsize,
    /// How many may be under way when another comes; `usize::MAX`: any number.
    window: AtomicUsize,
    /// The least that was under way in this interval.
    lowest: AtomicUsize,
    /// The least that all workers took up in a round that ended in this interval; `usize::MAX`: none has.
    lowest_round: AtomicUsize,
    answered: AtomicU64,
    refused: AtomicU64,
    /// Microseconds from `began`.
    judged_us: AtomicU64,
    judge: Mutex<Judge>,
}

impl Gate {
    fn new(began: Instant, places: usize) -> Self {
        Self {
            began,
            under_way: AtomicUsize::new(0),
            window: AtomicUsize::new(usize::MAX),
            lowest: AtomicUsize::new(0),
            lowest_round: AtomicUsize::new(usize::MAX),
            answered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            judged_us: AtomicU64::new(0),
            judge: Mutex::new(Judge::new(places)),
        }
    }

    fn judge_if_due(&self, now: Instant, flushes: impl FnOnce() -> Flushes) {
        let now_us = now.saturating_duration_since(self.began).as_micros() as u64;
        let judged_us = self.judged_us.load(Ordering::Relaxed);
        let length = Duration::from_micros(now_us.saturating_sub(judged_us));
        if length < INTERVAL {
            return;
        }
        let exchanged = self.judged_us.compare_exchange(judged_us, now_us, Ordering::Relaxed, Ordering::Relaxed);
        // Somebody else judges: nobody waits for that.
        let (Ok(_), Some(mut judge)) = (exchanged, self.judge.try_lock()) else { return };
        let behind = self.lowest.swap(self.under_way.load(Ordering::Relaxed), Ordering::Relaxed);
        let before = match self.lowest_round.swap(usize::MAX, Ordering::Relaxed) {
            usize::MAX => 0,
            lowest => lowest,
        };
        let interval = Interval {
            length,
            // Not the sum: who was taken up in a round may be under way after it.
            lowest: behind.max(before),
            answered: self.answered.swap(0, Ordering::Relaxed),
            refused: self.refused.swap(0, Ordering::Relaxed),
            flushes: flushes(),
        };
        self.window.store(judge.judge(&interval), Ordering::Relaxed);
    }
}

/// What was seen of a lane in an interval.
#[derive(Clone, Copy, Debug)]
struct Interval {
    length: Duration,
    lowest: usize,
    answered: u64,
    refused: u64,
    flushes: Flushes,
}

impl Interval {
    fn per_sec(&self) -> f64 {
        self.answered as f64 / self.length.as_secs_f64()
    }

    /// How many of those under way wait for the disk: a change meets a flush that has begun, and waits for the next.
    fn at_disk(&self) -> usize {
        (self.per_sec() * 2.0 * self.flushes.usual.as_secs_f64()) as usize
    }

    /// Whether one flush lasted all through it.
    fn is_stalled(&self) -> bool {
        self.flushes.current >= self.length
    }
}

/// Decides between calm and shedding, interval by interval; knows no clock.
#[derive(Debug)]
struct Judge {
    /// How many are let in at a time while shedding, beside those that wait for the disk.
    places: usize,
    state: State,
    /// How long it has been calm; saturates.
    calm_for: Duration,
    probe_every: Duration,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Calm {
        /// How long the queue has stood, without the stalls of the disk.
        standing: Duration,
        /// How much longer it may, as a stall made it.
        grace: Duration,
    },
    Shedding {
        /// How long next to nobody was refused.
        quiet: Duration,
        /// How long ago the last probe was.
        unprobed: Duration,
        /// This interval is one, or part of one.
        is_probe: bool,
    },
}

/// Too much to do since now.
const SHEDDING: State = State::Shedding { quiet: Duration::ZERO, unprobed: Duration::ZERO, is_probe: false };

/// No queue stands.
const CALM: State = State::Calm { standing: Duration::ZERO, grace: Duration::ZERO };

impl Judge {
    fn new(places: usize) -> Self {
        Self { places, state: CALM, calm_for: Duration::MAX, probe_every: PROBE_EVERY }
    }

    /// Takes an interval; gives how many may be under way from now on when another comes.
    fn judge(&mut self, interval: &Interval) -> usize {
        self.state = match self.state {
            State::Calm { standing, grace } => self.after_calm(interval, standing, grace),
            State::Shedding { quiet, unprobed, is_probe } => self.after_shedding(interval, quiet, unprobed, is_probe),
        };
        match self.state {
            State::Calm { .. } => usize::MAX,
            State::Shedding { is_probe: true, .. } => CALM_MAX + interval.at_disk(),
            State::Shedding { is_probe: false, .. } => self.places + interval.at_disk(),
        }
    }

    fn after_calm(&mut self, interval: &Interval, standing: Duration, grace: Duration) -> State {
        self.calm_for = self.calm_for.saturating_add(interval.length);
        if interval.lowest <= CALM_MAX + interval.at_disk() {
            return CALM;
        }
        if interval.is_stalled() {
            return State::Calm { standing, grace: (grace + interval.length * GRACE_PER_STALL).min(GRACE_MAX) };
        }
        let standing = standing + interval.length;
        if standing < OVERLOADED_AFTER + grace {
            return State::Calm { standing, grace };
        }
        let is_back_at_once = self.calm_for < PROBE_EVERY;
        self.probe_every = if is_back_at_once { (self.probe_every * 2).min(PROBE_EVERY_MAX) } else { PROBE_EVERY };
        SHEDDING
    }

    fn after_shedding(&mut self, interval: &Interval, quiet: Duration, unprobed: Duration, is_probe: bool) -> State {
        let refuses_next_to_nobody = interval.refused * NEXT_TO_NOBODY <= interval.answered;
        let quiet = if refuses_next_to_nobody { quiet + interval.length } else { Duration::ZERO };
        if quiet >= if is_probe { PROBED_AFTER } else { CALM_AFTER } {
            self.calm_for = Duration::ZERO;
            return CALM;
        }
        let unprobed = unprobed + interval.length;
        let begins_probe = unprobed >= self.probe_every;
        State::Shedding {
            quiet,
            unprobed: if begins_probe { Duration::ZERO } else { unprobed },
            is_probe: begins_probe || (is_probe && refuses_next_to_nobody),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: usize = usize::MAX;
    const FEW: usize = 32;

    /// An interval of usual length of a node that answers 10,000 per second and flushes in 0.2 ms.
    fn interval(lowest: usize) -> Interval {
        let flushes = Flushes { usual: Duration::from_micros(200), current: Duration::from_micros(100) };
        Interval { length: INTERVAL, lowest, answered: 500, refused: 0, flushes }
    }

    fn stalled(lowest: usize) -> Interval {
        let flushes = Flushes { current: INTERVAL, ..interval(lowest).flushes };
        Interval { answered: 0, flushes, ..interval(lowest) }
    }

    /// What a judge says after each of some intervals.
    fn judged(judge: &mut Judge, intervals: impl IntoIterator<Item = Interval>) -> Vec<usize> {
        intervals.into_iter().map(|interval| judge.judge(&interval)).collect()
    }

    fn shedding() -> Judge {
        let mut judge = Judge::new(FEW);
        judged(&mut judge, vec![interval(1000); 10]);
        assert_eq!(judge.judge(&interval(1000)), FEW + 4);
        judge
    }

    fn count(time: Duration) -> usize {
        (time.as_millis() / INTERVAL.as_millis()) as usize
    }

    #[test]
    fn a_queue_that_stands_is_shed() {
        let said = judged(&mut Judge::new(FEW), vec![interval(1000); 12]);
        let waits = count(OVERLOADED_AFTER) - 1;
        assert!(said[..waits].iter().all(|window| *window == ANY), "{said:?}");
        // Few are let in, and the four that wait for the disk.
        assert!(said[waits..].iter().all(|window| *window == FEW + 4), "{said:?}");
    }

    #[test]
    fn a_few_hundred_connections_are_no_overload() {
        let said = judged(&mut Judge::new(FEW), vec![interval(CALM_MAX); 1000]);
        assert!(said.iter().all(|window| *window == ANY));
    }

    #[test]
    fn a_queue_that_comes_and_goes_is_no_overload() {
        let burst = (0..400).map(|n| interval(if n % 9 == 8 { 3 } else { 5000 }));
        assert!(judged(&mut Judge::new(FEW), burst).iter().all(|window| *window == ANY));
    }

    #[test]
    fn after_a_stall_a_queue_may_stand_longer() {
        // A second in which the disk hesitates, at four fifths of the peak: four seconds until it is worked off.
        let mut judge = Judge::new(FEW);
        let usual = vec![interval(40); 20];
        let stall = vec![stalled(1000); 20];
        let catching_up = vec![interval(1000); 80];
        let said = judged(&mut judge, [usual, stall, catching_up, vec![interval(40)]].concat());
        assert!(said.iter().all(|window| *window == ANY), "{said:?}");
        // One that is not worked off is overload all the same, and the next has no such time.
        let said = judged(&mut judge, vec![interval(1000); 10]);
        assert_eq!(said.last(), Some(&(FEW + 4)));
        let mut judge = Judge::new(FEW);
        let said =
            judged(&mut judge, [vec![interval(40); 20], vec![stalled(1000); 20], vec![interval(1000); 100]].concat());
        assert_eq!(said.last(), Some(&(FEW + 4)));
    }

    #[test]
    fn a_disk_that_always_stalls_does_not_let_more_and_more_in() {
        let mut judge = Judge::new(FEW);
        let stall = [vec![interval(1000); 1], vec![stalled(1000); 9]].concat();
        let needed = count(OVERLOADED_AFTER + GRACE_MAX);
        let said = judged(&mut judge, stall.repeat(needed));
        assert!(said.iter().any(|window| *window != ANY));
    }

    #[test]
    fn a_slow_disk_needs_more_under_way() {
        let flushes = Flushes { usual: Duration::from_millis(20), current: Duration::ZERO };
        let slow = |lowest| Interval { flushes, ..interval(lowest) };
        // 10,000 per second, each of which waits for up to two flushes.
        assert_eq!(slow(0).at_disk(), 400);
        let said = judged(&mut Judge::new(FEW), vec![slow(CALM_MAX + 400); 100]);
        assert!(said.iter().all(|window| *window == ANY));
        let said = judged(&mut Judge::new(FEW), vec![slow(1000); 100]);
        assert_eq!(said.last(), Some(&(FEW + 400)));
    }

    #[test]
    fn answers_that_come_in_lumps_are_no_stall() {
        // A slow node with thousands under way: every fourth interval brings the answers of all four.
        let lump = |n| Interval { answered: if n % 4 == 3 { 2000 } else { 0 }, ..interval(5000) };
        let said = judged(&mut Judge::new(FEW), (0..count(OVERLOADED_AFTER)).map(lump));
        assert_ne!(said.last(), Some(&ANY));
    }

    #[test]
    fn a_slow_node_is_not_made_slower_by_letting_fewer_in() {
        let at = |per_sec: u64| Interval { answered: per_sec / 20, refused: 500, ..interval(20) };
        let mut judge = shedding();
        assert_eq!(judged(&mut judge, vec![at(500); 60]).last(), Some(&FEW));
        assert_eq!(judged(&mut judge, vec![at(40_000); 60]).last(), Some(&(FEW + 16)));
    }

    #[test]
    fn all_are_let_in_again_when_next_to_nobody_is_refused() {
        let refusing = |refused| Interval { refused, ..interval(FEW) };
        let mut judge = shedding();
        let said = judged(&mut judge, vec![refusing(500); 100]);
        assert!(said.iter().all(|window| *window == FEW + 4));
        // One in ten, by chance, for a second.
        let said = judged(&mut judge, vec![refusing(50); count(CALM_AFTER)]);
        assert_eq!(said.iter().filter(|window| **window == ANY).count(), 1, "{said:?}");
        assert_eq!(said.last(), Some(&ANY));
        // What is not for a whole second is not counted together.
        let mut judge = shedding();
        let mixed = [vec![refusing(500)], vec![refusing(0); count(CALM_AFTER) - 1]].concat().repeat(5);
        assert!(judged(&mut judge, mixed).iter().all(|window| *window != ANY));
    }

    #[test]
    fn a_few_who_ask_again_at_once_are_found_to_be_few() {
        let refusing = |refused| Interval { refused, ..interval(FEW) };
        let mut judge = shedding();
        let until_probe = count(PROBE_EVERY) - 1;
        // Many are still many when more of them are let in.
        let said = judged(&mut judge, vec![refusing(500); 2 * until_probe]);
        let probes: Vec<usize> = (0..said.len()).filter(|place| said[*place] == CALM_MAX + 4).collect();
        assert_eq!(probes, [until_probe - 1]);
        assert!(said.iter().all(|window| *window != ANY));
        // One interval in which nobody came as far as the door shows nothing.
        let lull = [refusing(5_000), refusing(0), refusing(500)];
        assert_eq!(judged(&mut judge, lull), [CALM_MAX + 4, CALM_MAX + 4, FEW + 4]);
        // 64 who wait for their answers are not refused once there is room for them.
        let next_probe = (0..=until_probe).find(|_| judge.judge(&refusing(5_000)) == CALM_MAX + 4);
        assert!(next_probe.is_some());
        let said = judged(&mut judge, vec![refusing(0); count(PROBED_AFTER)]);
        assert_eq!(said, [vec![CALM_MAX + 4; count(PROBED_AFTER) - 1], vec![ANY]].concat());
    }

    #[test]
    fn a_probe_that_was_mistaken_is_not_soon_repeated() {
        let refusing = |refused| Interval { refused, ..interval(FEW) };
        let mut judge = shedding();
        let mut waits = Vec::new();
        for _ in 0..7 {
            let mut wait = 0;
            while judge.judge(&refusing(500)) == FEW + 4 {
                wait += 1;
            }
            waits.push((INTERVAL * wait).as_secs());
            // All fit in, for once.
            assert_eq!(judged(&mut judge, vec![refusing(0); count(PROBED_AFTER)]).last(), Some(&ANY));
            judged(&mut judge, vec![interval(1000); 10]);
        }
        assert_eq!(waits, [9, 19, 39, 79, 159, 319, 319]);
        // A calm that lasts makes it usual again.
        judged(&mut judge, vec![refusing(0); 2 * count(PROBE_EVERY)]);
        judged(&mut judge, vec![interval(1000); 10]);
        assert_eq!(judge.probe_every, PROBE_EVERY);
    }

    #[test]
    fn nobody_asking_ends_it() {
        let pause = Interval { length: Duration::from_secs(2), answered: 0, ..interval(0) };
        assert_eq!(shedding().judge(&pause), ANY);
    }

    /// A door whose time is told by the test.
    struct Door {
        admission: Admission,
        now: Instant,
    }

    impl Door {
        fn new(under_way_max: usize) -> Self {
            let now = Instant::now();
            Self { admission: Admission::new(under_way_max, now, Flushes::default), now }
        }

        /// Keeps 1,000 changes under way for some intervals, in each of which some are answered.
        fn crowd(&mut self, intervals: usize) -> Vec<Turn<'_>> {
            let mut turns: Vec<_> = (0..1000).map(|_| self.admission.begin(Lane::Changes)).collect();
            for _ in 0..intervals {
                self.now += INTERVAL;
                for place in turns.iter_mut().take(500) {
                    // The new one begins before the old one ends.
                    *place = self.admission.begin(Lane::Changes);
                }
                drop(self.admission.admit(Lane::Changes, self.now));
            }
            turns
        }
    }

    #[test]
    fn a_crowd_of_changes_is_refused_and_reads_are_not() {
        let mut door = Door::new(10_000);
        let crowd = door.crowd(count(OVERLOADED_AFTER) + 2);
        assert_eq!(crowd.len(), 1000);
        drop(crowd);
        assert!(door.admission.is_shedding(Lane::Changes) && !door.admission.is_shedding(Lane::Reads));
        let crowd: Vec<_> = (0..1000).map(|_| door.admission.begin(Lane::Changes)).collect();
        let admit = |lane| door.admission.admit(lane, door.now).map(drop);
        assert_eq!((admit(Lane::Changes), admit(Lane::Reads)), (Err(NotNow::Overloaded), Ok(())));
        drop(crowd);
        assert_eq!(admit(Lane::Changes), Ok(()), "there is room again");
    }

    #[test]
    fn reads_that_wait_for_their_worker_are_a_crowd() {
        let mut door = Door::new(10_000);
        door.admission.workers.store(1, Ordering::Relaxed);
        let mut round = |came: usize| {
            door.now += INTERVAL;
            let let_in = (0..came).filter(|_| door.admission.admit(Lane::Reads, door.now).is_ok()).count();
            (0..let_in).for_each(|_| drop(door.admission.begin(Lane::Reads)));
            door.admission.close_round();
            let_in
        };
        for _ in 0..100 {
            assert_eq!(round(CALM_MAX), CALM_MAX, "a few hundred are none");
        }
        let let_in: Vec<usize> = (0..15).map(|_| round(1000)).collect();
        assert_eq!(let_in[..10], [1000; 10]);
        assert!(let_in[12..].iter().all(|count| (1..CALM_MAX).contains(count)), "{let_in:?}");
        assert!(door.admission.is_shedding(Lane::Reads) && !door.admission.is_shedding(Lane::Changes));
    }

    #[test]
    fn no_more_than_the_upper_bound_is_under_way() {
        let door = Door::new(2);
        let admit = |lane| door.admission.admit(lane, door.now);
        let first = admit(Lane::Reads).expect("room");
        let second = admit(Lane::Changes).expect("room");
        assert_eq!(door.admission.under_way(), 2);
        assert_eq!(admit(Lane::Reads).map(drop), Err(NotNow::Full));
        drop(first);
        let third = admit(Lane::Reads).expect("room again");
        assert_eq!(admit(Lane::Changes).map(drop), Err(NotNow::Full));
        drop((second, third));
        assert_eq!(door.admission.under_way(), 0);
    }

    #[test]
    fn who_is_slow_to_send_is_no_load() {
        let mut door = Door::new(10_000);
        let places: Vec<_> = (0..1000).map(|_| door.admission.admit(Lane::Changes, door.now).expect("room")).collect();
        for _ in 0..100 {
            door.now += INTERVAL;
            assert!(door.admission.admit(Lane::Changes, door.now).is_ok());
        }
        assert_eq!(places.len(), 1000);
        assert!(!door.admission.is_shedding(Lane::Changes));
    }
}
