//! Two front doors over the same rows: one leads everything, the other nothing, and a wire that loses what it is told to.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::actors::Service;
use crate::actors::testing::{a_service, leading_only};
use crate::api::{Api, Flushes};
use crate::config::{self, Config};

const APP: AppId = AppId(7);
const LEADER: NodeId = NodeId(2 << 32);
const THIRD: NodeId = NodeId(3 << 32);

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    NotSent,
    /// It is carried out, and its answer does not come back.
    Lost,
    Garbled,
}

#[derive(Default)]
struct Wire {
    doors: OnceLock<[(NodeId, BackDoor); 2]>,
    /// Of the next calls; later ones arrive.
    fates: Mutex<VecDeque<Fate>>,
    calls: AtomicU32,
    /// The id that the last request carried.
    minted: Mutex<Option<String>>,
}

struct OnWire(Arc<Wire>);

impl Nodes for OnWire {
    fn call(&self, node: NodeId, asked: Bytes, deadline: Instant) -> Answering<'_> {
        Box::pin(async move {
            let wire = &self.0;
            wire.calls.fetch_add(1, Ordering::Relaxed);
            *wire.minted.lock() = envelope::Request::decode(&asked).unwrap().minted.map(str::to_owned);
            let fate = wire.fates.lock().pop_front().unwrap_or(Fate::Arrives);
            if let Fate::NotSent = fate {
                return Err(CallError::NotSent);
            }
            let doors = wire.doors.get().unwrap();
            let (_, door) = doors.iter().find(|(known, _)| *known == node).unwrap();
            let answer = door.attend(NodeId(1 << 32), asked, deadline).await;
            match fate {
                Fate::Lost => Err(CallError::Lost),
                Fate::Garbled => Ok(Bytes::from_static(b"\x07")),
                _ => Ok(answer),
            }
        })
    }
}

/// The doors of three nodes: one that is asked, one that leads, one that thinks that the second leads.
struct Doors {
    wire: Arc<Wire>,
    asked: Api,
    leading: Api,
    _third: Api,
    _folder: tempfile::TempDir,
}

fn door(config: &Config, service: Service, wire: &Arc<Wire>) -> Api {
    let app = config::App { id: APP.0, ..config::App::default() };
    let apps = vec![(config.settings_of(&app).unwrap(), app)];
    Api::new(config, apps, service, OnWire(wire.clone()), || None, Flushes::default)
}

impl Doors {
    /// `believed` leads as far as the node that is asked knows.
    async fn open(believed: NodeId, of_leader: &Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = a_service(folder.path(), APP).await;
        let wire = Arc::new(Wire::default());
        let config = Config::default();
        let asked = door(&config, leading_only(&service, None, Some(believed)), &wire);
        let third = door(&config, leading_only(&service, None, Some(LEADER)), &wire);
        let leading = door(of_leader, service, &wire);
        let doors = [(LEADER, leading.back_door()), (THIRD, third.back_door())];
        assert!(wire.doors.set(doors).is_ok());
        Self { wire, asked, leading, _third: third, _folder: folder }
    }

    /// The answer of the node that is asked, and how often it called another.
    async fn ask(&self, command: &str, body: &str, fates: &[Fate]) -> (Result<serde_json::Value, Failure>, u32) {
        self.wire.fates.lock().extend(fates);
        let before = self.wire.calls.load(Ordering::Relaxed);
        let answer = self.asked.0.ask_here(command, body).await;
        (answer.map(|body| serde_json::from_slice(&body).unwrap()), self.wire.calls.load(Ordering::Relaxed) - before)
    }
}

impl Door {
    async fn ask_here(&self, command: &str, body: &str) -> Result<Bytes, Failure> {
        let place = ENDPOINTS.iter().position(|(name, ..)| *name == command).unwrap();
        let origin = Origin {
            app: APP,
            rules: self.rules_of(APP).unwrap(),
            caller: AccountId::parse("root").unwrap(),
            deadline: Instant::now() + Duration::from_secs(2),
            now_secs: SystemClock.now() / 1000,
            id: RequestId(1),
            is_counted: false,
            minted: None,
        };
        let asked = self.read(origin, place, body.as_bytes(), &self.service)?;
        let turn = self.admission.begin(asked.lane());
        self.answered(&asked, turn).await
    }
}

fn code<T>(answer: &Result<T, Failure>) -> u32 {
    answer.as_ref().map_or_else(|failure| failure.code, |_| 0)
}

const CREATE: &str = r#"{"Type":"Public","Name":"n","GroupId":"g"}"#;

#[actix_rt::test]
async fn a_change_takes_one_hop_and_a_read_none() {
    let doors = Doors::open(LEADER, &Config::default()).await;
    let (created, hops) = doors.ask("create_group", CREATE, &[]).await;
    assert_eq!((created.unwrap()["GroupId"].as_str(), hops), (Some("g"), 1));
    let (read, hops) = doors.ask("get_group_info", r#"{"GroupIdList":["g"]}"#, &[]).await;
    assert_eq!((read.unwrap()["GroupInfo"][0]["Name"].as_str(), hops), (Some("n"), 0));
    // What the rules say comes back as they said it.
    let (refused, hops) = doors.ask("create_group", CREATE, &[]).await;
    let here = doors.leading.0.ask_here("create_group", CREATE).await;
    assert_eq!((refused.unwrap_err(), hops), (here.unwrap_err(), 1));
    // What can be refused without the group never leaves.
    let (refused, hops) = doors.ask("create_group", r#"{"Type":"Public"}"#, &[]).await;
    assert_eq!((code(&refused), hops), (10004, 0));
}

#[actix_rt::test]
async fn a_node_that_does_not_lead_names_the_next() {
    let doors = Doors::open(THIRD, &Config::default()).await;
    let (created, hops) = doors.ask("create_group", CREATE, &[]).await;
    assert_eq!((code(&created), hops), (0, 2));
}

#[actix_rt::test]
async fn what_did_not_leave_is_sent_again_and_what_was_lost_only_by_name() {
    let doors = Doors::open(LEADER, &Config::default()).await;
    let (created, hops) = doors.ask("create_group", CREATE, &[Fate::NotSent, Fate::NotSent]).await;
    assert_eq!((code(&created), hops), (0, 3));

    let count = |name: &str| {
        format!(
            r#"{{"GroupId":"g","GroupCounter":[{{"Key":"k","Value":1}}],"Mode":"Increase","ClientReqId":"{name}"}}"#
        )
    };
    for (fate, info) in [
        (Fate::Lost, "outcome unknown: the leading node did not answer"),
        (Fate::Garbled, "outcome unknown: the answer of the leading node cannot be read"),
    ] {
        let (unknown, hops) = doors.ask("update_group_counter", &count(""), &[fate]).await;
        let unknown = unknown.unwrap_err();
        assert_eq!((unknown.code, unknown.info.as_ref(), hops), (10002, info, 1));
    }
    // Two were carried out. The third is so once, though it is sent twice.
    let (counted, hops) = doors.ask("update_group_counter", &count("once"), &[Fate::Lost]).await;
    assert_eq!((counted.unwrap()["GroupCounter"][0]["Value"].as_u64(), hops), (Some(3), 2));
    // A group without an id, too: the second try meets the group of the first.
    let unnamed = r#"{"Type":"Public","Name":"n","ClientReqId":"new"}"#;
    let (created, hops) = doors.ask("create_group", unnamed, &[Fate::Lost]).await;
    assert_eq!((code(&created), hops), (0, 2));
    let again = doors.leading.0.ask_here("create_group", unnamed).await.unwrap();
    assert_eq!(created.unwrap(), serde_json::from_slice::<serde_json::Value>(&again).unwrap());
}

#[actix_rt::test]
async fn a_minted_id_travels_with_its_request() {
    let doors = Doors::open(LEADER, &Config::default()).await;
    let (created, hops) = doors.ask("create_group", r#"{"Type":"Public","Name":"n"}"#, &[]).await;
    let minted = doors.wire.minted.lock().clone();
    assert!(minted.is_some());
    assert_eq!((created.unwrap()["GroupId"].as_str(), hops), (minted.as_deref(), 1));
}

#[actix_rt::test]
async fn nobody_leads_or_can_be_reached() {
    let doors = Doors::open(LEADER, &Config::default()).await;
    let began = Instant::now();
    let (unreached, hops) = doors.ask("create_group", CREATE, &[Fate::NotSent; 1_000]).await;
    assert_eq!(code(&unreached), 60008);
    assert!(began.elapsed() < Duration::from_secs(2), "the caller hears of it inside its deadline");
    assert!((3..200).contains(&hops), "{hops} tries: neither none nor a busy loop");
}

#[actix_rt::test]
async fn who_leads_has_room_or_not_and_counts_no_rates() {
    let mut config = Config::default();
    config.limits.attr_write_per_sec = 1;
    let doors = Doors::open(LEADER, &config).await;
    assert_eq!(code(&doors.ask("create_group", CREATE, &[]).await.0), 0);
    let write = r#"{"GroupId":"g","GroupAttr":[{"key":"k","value":"v"}]}"#;
    for _ in 0..3 {
        assert_eq!(code(&doors.ask("modify_group_attr", write, &[]).await.0), 0);
    }
    let admission = &doors.leading.0.admission;
    let all: Vec<_> = (0..8_192).map_while(|_| admission.admit_forwarded(Lane::Reads, Instant::now()).ok()).collect();
    let (full, hops) = doors.ask("create_group", CREATE, &[]).await;
    let full = full.unwrap_err();
    assert_eq!((full.code, full.info.as_ref(), hops), (60018, "overloaded: too many requests under way", 1));
    drop(all);
    assert_eq!(code(&doors.ask("create_group", CREATE, &[]).await.0), 10021);
}

#[actix_rt::test]
async fn what_cannot_be_read_is_answered_and_so_is_who_comes_too_late() {
    let doors = Doors::open(LEADER, &Config::default()).await;
    let back = doors.leading.back_door();
    let soon = || Instant::now() + Duration::from_secs(1);
    let good = envelope::Request { app: 7, caller: "root", command: "destroy_group", body: b"{}", id: 1, minted: None };
    let answered = async |bytes: Bytes| match Answer::decode(&back.attend(LEADER, bytes, soon()).await).unwrap() {
        Answer::Failed { failure, .. } => (failure.code, failure.remedy),
        Answer::Done(_) => (0, Remedy::Nothing),
    };
    for (bytes, code) in [
        (Bytes::from_static(b""), 60008),
        (Bytes::from_static(b"R\x09"), 60008),
        (good.encode(), 10004),
        (envelope::Request { app: 8, ..good }.encode(), 70020),
        (envelope::Request { command: "make_tea", ..good }.encode(), 10003),
        (envelope::Request { caller: "", ..good }.encode(), 60008),
        (envelope::Request { minted: Some(""), ..good }.encode(), 60008),
        (envelope::Request { body: b"no", ..good }.encode(), 60003),
    ] {
        assert_eq!(answered(bytes).await, (code, Remedy::Nothing));
    }
    drop(doors);
    assert_eq!(answered(good.encode()).await, (60008, Remedy::Again));
}

#[test]
fn what_is_done_about_a_failure() {
    use Remedy::{Again, AgainIfNamed, Ask, Nothing};
    let (me, ms) = (NodeId(1), Duration::from_millis);
    let began = Instant::now();
    let wait = |millis| Next::Wait(ms(millis));
    let tries = |is_named| Tries::new(began, began + ms(1_000), is_named);
    // One failure, at that time.
    for (remedy, is_named, at, next) in [
        (Nothing, true, 0, Next::GiveUp),
        (Again, false, 0, wait(10)),
        (Again, false, 745, wait(5)),
        (Again, true, 750, Next::GiveUp),
        (AgainIfNamed, true, 0, wait(10)),
        (AgainIfNamed, false, 0, Next::GiveUp),
        (Ask(LEADER), false, 0, Next::Ask(LEADER)),
        (Ask(LEADER), false, 749, Next::Ask(LEADER)),
        (Ask(LEADER), false, 750, Next::GiveUp),
        // Somebody thinks that it is this node: it does not know yet.
        (Ask(me), false, 0, wait(10)),
    ] {
        assert_eq!(tries(is_named).next(remedy, began + ms(at), me), next, "{remedy:?} {is_named} {at}");
    }
    // Many, one after the other.
    let mut many = tries(false);
    let waited: Vec<Next> = (0..7).map(|_| many.next(Again, began, me)).collect();
    assert_eq!(waited, [10, 20, 40, 80, 160, 160, 160].map(wait));
    let mut circle = tries(false);
    let asked: Vec<Next> = (0..8).map(|_| circle.next(Ask(LEADER), began, me)).collect();
    let ask = Next::Ask(LEADER);
    assert_eq!(asked, [ask, ask, ask, wait(10), ask, ask, ask, wait(20)]);
}
