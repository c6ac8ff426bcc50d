//! What the fuzzers call (`make fuzz`, tests/fuzz): each function takes any bytes and panics where a promise is broken.
//!
//! Compiled under `cfg(fuzzing)`, and for the test below, which feeds it what the fuzzers have found so far. Needs no
//! service: a request is read as far as a command or a failure, the signature is looked at on its own.

use std::fmt::Debug;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::body::Object;
use super::error::{self, Failure};
use super::query::{self, Query};
use super::{Call, ENDPOINTS, Endpoint, Rules, accounts, admin, client_request, json};
use crate::config::{Config, DeclaredField};
use crate::id::AppId;

pub use super::usersig::fuzzing::usersig;

/// What may be said of a request before a service is asked; sorted. Source: docs/spec/errors.md 3 to 7.
const CODES: &[u32] = &[
    10003, 10004, 10005, 10012, 10015, 10045, 10046, 10063, 60002, 60003, 60004, 60009, 60012, 60015, 60025, 70002,
    70402, 110013,
];
/// Bytes of the longest text of a failure: what is wrong, the field, and 64 bytes of its value.
const INFO_BYTES_MAX: usize = 192;
/// When every request arrives, in Unix seconds.
const NOW_SECS: u64 = 1_788_000_000;

/// Reads a request: the address as it stands in the first line of HTTP, a line feed, the body.
///
/// # Panics
/// If reading it twice differs, or what it fails with is no documented answer.
pub fn request(data: &[u8]) {
    let (line, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[][..]),
    };
    let Ok(line) = std::str::from_utf8(line) else { return };
    for door in doors() {
        let outcome = door.read(line, body);
        assert_eq!(outcome, door.read(line, body), "the same request, read twice");
        if let Err(failure) = outcome {
            check_answer(&failure);
        }
    }
}

/// A failure's code is documented, and its answer is JSON of a bounded size that says the same.
fn check_answer(failure: &Failure) {
    assert!(CODES.binary_search(&failure.code).is_ok(), "no such failure of reading: {failure:?}");
    assert!(error::LABELLED.binary_search(&failure.code).is_ok(), "a code without a label: {failure:?}");
    assert!(failure.info.len() <= INFO_BYTES_MAX, "a text of {} bytes: {failure:?}", failure.info.len());
    let answer: serde_json::Value = serde_json::from_slice(&json::failure(failure)).expect("an answer is JSON");
    assert_eq!(answer["ErrorCode"], failure.code);
    assert_eq!(answer["ErrorInfo"], *failure.info);
}

/// What a request is read by, apart from a service.
struct Door {
    rules: Rules,
    strict: bool,
}

/// One that takes whatever may be taken, and one whose every switch stands otherwise.
fn doors() -> &'static [Door; 2] {
    static DOORS: OnceLock<[Door; 2]> = OnceLock::new();
    DOORS.get_or_init(|| {
        let config = Config::default();
        [false, true].map(|strict| {
            let mut settings = config.common_settings();
            settings.custom_fields.open = !strict;
            settings.custom_fields.group.push(DeclaredField::named("city"));
            settings.custom_fields.member.push(DeclaredField::named("badge"));
            Door { rules: Rules::of(&config, &settings), strict }
        })
    })
}

impl Door {
    /// Says what is asked; in the order of the front door, which verifies the signature after the parameters.
    fn read(&self, line: &str, body: &[u8]) -> Result<String, Failure> {
        let (path, query) = line.split_once('?').unwrap_or((line, ""));
        let (family, name) = query::command(path)?;
        let query = Query::parse(query, self.strict, self.strict)?;
        let Some(place) = Endpoint::place(family, name) else {
            return Err(Failure::with_value(error::NO_SUCH_COMMAND, "command", "no such command", name));
        };
        let (name, endpoint, changes) = ENDPOINTS[place];
        let body = Object::parse(body, self.strict)?;
        let request = if changes { client_request(&body, name, &query.identifier)? } else { None };
        let call = Call {
            rules: &self.rules,
            app: AppId(query.app),
            caller: query.identifier,
            deadline: Instant::now(),
            now_secs: NOW_SECS,
            request,
            minted: OnceLock::new(),
            is_counted: AtomicBool::new(false),
        };
        let asked = endpoint.read(&call, &body)?;
        Ok(format!("{:?} {:?} {:?} {asked}", call.app, call.caller, call.request))
    }
}

impl Endpoint {
    /// Reads a body as the endpoint does before it asks its service.
    fn read(self, call: &Call<'_>, body: &Object<'_>) -> Result<String, Failure> {
        match self {
            Endpoint::CreateGroup => said(admin::create_group::read(call, body)),
            Endpoint::GetGroupInfo => said(admin::get_group_info::read(call, body)),
            Endpoint::GetGroupMemberInfo => said(admin::get_group_member_info::read(call, body)),
            Endpoint::AddGroupMember => said(admin::add_group_member::read(call, body)),
            Endpoint::DeleteGroupMember => said(admin::delete_group_member::read(call, body)),
            Endpoint::ModifyGroupBaseInfo => said(admin::modify_group_base_info::read(call, body)),
            Endpoint::GetJoinedGroupList => said(admin::get_joined_group_list::read(call, body)),
            Endpoint::GetSpecifiedGroupMemberInfo => said(admin::get_specified_group_member_info::read(call, body)),
            Endpoint::ModifyGroupMemberInfo => said(admin::modify_group_member_info::read(call, body)),
            Endpoint::GetRoleInGroup => said(admin::get_role_in_group::read(call, body)),
            Endpoint::ForbidSendMsg => said(admin::forbid_send_msg::read(call, body)),
            Endpoint::GetGroupMutedAccount | Endpoint::GetGroupShuttedUin => {
                said(admin::get_group_muted_account::read(body))
            }
            Endpoint::ChangeGroupOwner => said(admin::change_group_owner::read(call, body)),
            Endpoint::ImportGroup => said(admin::import_group::read(call, body)),
            Endpoint::ImportGroupMember => said(admin::import_group_member::read(call, body)),
            Endpoint::SetGroupAttr => said(admin::set_group_attr::read(call, body)),
            Endpoint::ModifyGroupAttr => said(admin::modify_group_attr::read(call, body)),
            Endpoint::ClearGroupAttr => said(admin::clear_group_attr::read(call, body)),
            Endpoint::DeleteGroupAttr => said(admin::delete_group_attr::read(call, body)),
            Endpoint::GetGroupCounter => said(admin::get_group_counter::read(call, body)),
            Endpoint::UpdateGroupCounter => said(admin::update_group_counter::read(call, body)),
            Endpoint::DeleteGroupCounter => said(admin::delete_group_counter::read(call, body)),
            Endpoint::BanGroupMember => said(admin::ban_group_member::read(call, body)),
            Endpoint::UnbanGroupMember => said(admin::unban_group_member::read(call, body)),
            Endpoint::GetGroupBanMember => said(admin::get_group_ban_member::read(call, body)),
            Endpoint::GetAppidGroupList => said(admin::get_appid_group_list::read(call, body)),
            Endpoint::ModifyAdmin => said(admin::modify_admin::read(call, body)),
            Endpoint::AccountImport => said(accounts::account_import::read(body)),
            Endpoint::MultiaccountImport => said(accounts::multiaccount_import::read(body)),
            Endpoint::AccountCheck => said(accounts::account_check::read(body)),
            Endpoint::AccountDelete => said(accounts::account_delete::read(body)),
            // They read nothing else.
            Endpoint::DestroyGroup | Endpoint::GetAdminList | Endpoint::GetGroupAttr => said(body.group_id("GroupId")),
        }
    }
}

fn said<T: Debug>(asked: Result<T, Failure>) -> Result<String, Failure> {
    asked.map(|asked| format!("{asked:?}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Every file below a folder of tests/fuzz, with its path.
    fn inputs(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(folder);
        let files = fs::read_dir(&folder).expect("seeds and corpus are in the repository");
        let paths = files.map(|file| file.expect("a file of the corpus").path());
        paths.map(|path| (path.clone(), fs::read(path).expect("a file of the corpus"))).collect()
    }

    fn replay(target: &str, fuzz: fn(&[u8])) {
        for folder in ["seeds", "corpus"] {
            let inputs = inputs(&format!("{folder}/{target}"));
            assert!(!inputs.is_empty(), "nothing in {folder}/{target}");
            for (path, data) in inputs {
                let outcome = std::panic::catch_unwind(|| fuzz(&data));
                assert!(outcome.is_ok(), "{} breaks a promise, see above", path.display());
            }
        }
    }

    #[test]
    fn what_the_fuzzers_found_keeps_the_promises() {
        replay("request", request);
        replay("usersig", usersig);
    }

    /// A fuzzer seldom finds by itself what a command has to be told.
    #[test]
    fn the_seeds_have_a_good_request_of_every_command() {
        let mut is_good = [false; ENDPOINTS.len()];
        for (path, data) in inputs("seeds/request") {
            let Some((line, body)) = std::str::from_utf8(&data).ok().and_then(|text| text.split_once('\n')) else {
                continue;
            };
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(place) = ENDPOINTS.iter().position(|(command, ..)| name.starts_with(&format!("{command}-"))) {
                is_good[place] |= doors()[0].read(line, body.as_bytes()).is_ok();
            }
        }
        let missing: Vec<&str> =
            ENDPOINTS.iter().zip(is_good).filter(|(_, good)| !good).map(|((name, ..), _)| *name).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }

    #[test]
    fn what_is_no_documented_answer_is_found_out() {
        let is_refused = |failure: Failure| std::panic::catch_unwind(|| check_answer(&failure)).is_err();
        assert!(!is_refused(Failure::bad("Name", "too long")));
        assert!(is_refused(Failure::new(error::INTERNAL, "x")));
        assert!(is_refused(Failure::new(error::BAD_PARAMETER, "x".repeat(INFO_BYTES_MAX + 1))));
        assert!(CODES.is_sorted());
    }
}
