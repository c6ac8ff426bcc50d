//! The front door: HTTP in, one command or one read, JSON out.
//!
//! ```text
//! POST /v4/{service}/{command}?sdkappid=..&identifier=..&usersig=..     the admin plane
//! GET  /healthz  /readyz  /metrics  /settings  /openapi.json            for those who run it and call it
//! ```
//!
//! Every answered request of the admin plane is HTTP 200; what became of it is in the body. Checks come in the
//! order of docs/spec/rest-api.md 2.7: room for it, address line, signature, app admin, rate of the app, command, its
//! rate, JSON, shape. Rates come after the signature, so that nobody else can use up what an app may ask for, and
//! before the body, so that what is refused by them costs little.
//! No rules here, no store and no cluster: see [`Service`].

mod about;
mod accounts;
mod admin;
mod admission;
pub mod auth;
mod body;
pub mod doorway;
pub mod error;
mod fields;
pub mod forward;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod json;
mod kept;
mod openapi;
mod ops;
mod query;
mod rates;
mod request;
mod usersig;
mod wire;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures::FutureExt;
use rustc_hash::FxHashMap;
use tracing::Instrument;

use self::about::About;
pub use self::admission::Flushes;
use self::admission::{Admission, Lane, NotNow};
use self::auth::{Auth, Caller};
use self::body::Object;
use self::error::Failure;
use self::forward::{BackDoor, Nodes};
use self::json::Json;
use self::kept::{KeptAnswers, Rendered};
use self::query::{Family, Query};
use self::rates::Rates;
use crate::actors::{ClientRequest, Service, SubmitError};
use crate::config::{self, AppSettings, Config, CustomFields};
use crate::group::{Answer, Command, CustomField, Kind, Limits, Operator, Refusal};
use crate::id::{AccountId, AppId, GroupId, RequestId};
use crate::metrics::{self, CommandMetrics};
use crate::time::{Clock, SystemClock};

/// Names a request in its answer; the same id stands in what the node logs about it.
const REQUEST_ID: &str = "x-muster-request-id";

/// Asks for a read as this node has it: `stale`; anything else is a read of what is true now. In lower case, as names of
/// headers are compared.
const CONSISTENCY: &str = "x-muster-consistency";
const STALE: &[u8] = b"stale";
/// How old such an answer may be, in milliseconds.
const STALE_MS: &str = "x-muster-stale-ms";

/// Longest name that a caller may give a request. Source: docs/spec/client-operations.md 1.
const CLIENT_REQUEST_ID_BYTES_MAX: usize = 64;

/// A command of the admin plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    CreateGroup,
    GetGroupInfo,
    GetGroupMemberInfo,
    AddGroupMember,
    DeleteGroupMember,
    ModifyGroupBaseInfo,
    DestroyGroup,
    GetJoinedGroupList,
    GetSpecifiedGroupMemberInfo,
    ModifyGroupMemberInfo,
    GetRoleInGroup,
    ForbidSendMsg,
    GetGroupMutedAccount,
    GetGroupShuttedUin,
    ChangeGroupOwner,
    ImportGroup,
    ImportGroupMember,
    GetGroupAttr,
    SetGroupAttr,
    ModifyGroupAttr,
    ClearGroupAttr,
    DeleteGroupAttr,
    GetGroupCounter,
    UpdateGroupCounter,
    DeleteGroupCounter,
    BanGroupMember,
    UnbanGroupMember,
    GetGroupBanMember,
    GetAppidGroupList,
    ModifyAdmin,
    GetAdminList,
    AccountImport,
    MultiaccountImport,
    AccountCheck,
    AccountDelete,
}

/// The command that has a rate of its own. Source: docs/spec/rest-api.md 2.5.
const LIST_ALL_GROUPS: &str = "get_appid_group_list";

/// The commands that are answered by GET too, because published SDKs send them so. Source: docs/spec/rest-api.md 2.1.
const BY_GET: [(Family, &str); 2] = [(Family::Groups, LIST_ALL_GROUPS), (Family::Accounts, "account_check")];

/// The whole admin plane: its name, the command, and whether it changes anything.
const ENDPOINTS: [(&str, Endpoint, bool); 35] = [
    ("create_group", Endpoint::CreateGroup, true),
    ("get_group_info", Endpoint::GetGroupInfo, false),
    ("get_group_member_info", Endpoint::GetGroupMemberInfo, false),
    ("add_group_member", Endpoint::AddGroupMember, true),
    ("delete_group_member", Endpoint::DeleteGroupMember, true),
    ("modify_group_base_info", Endpoint::ModifyGroupBaseInfo, true),
    ("destroy_group", Endpoint::DestroyGroup, true),
    ("get_joined_group_list", Endpoint::GetJoinedGroupList, false),
    ("get_specified_group_member_info", Endpoint::GetSpecifiedGroupMemberInfo, false),
    ("modify_group_member_info", Endpoint::ModifyGroupMemberInfo, true),
    ("get_role_in_group", Endpoint::GetRoleInGroup, false),
    ("forbid_send_msg", Endpoint::ForbidSendMsg, true),
    ("get_group_muted_account", Endpoint::GetGroupMutedAccount, false),
    ("get_group_shutted_uin", Endpoint::GetGroupShuttedUin, false),
    ("change_group_owner", Endpoint::ChangeGroupOwner, true),
    ("import_group", Endpoint::ImportGroup, true),
    ("import_group_member", Endpoint::ImportGroupMember, true),
    ("get_group_attr", Endpoint::GetGroupAttr, false),
    ("set_group_attr", Endpoint::SetGroupAttr, true),
    ("modify_group_attr", Endpoint::ModifyGroupAttr, true),
    ("clear_group_attr", Endpoint::ClearGroupAttr, true),
    ("delete_group_attr", Endpoint::DeleteGroupAttr, true),
    ("get_group_counter", Endpoint::GetGroupCounter, false),
    ("update_group_counter", Endpoint::UpdateGroupCounter, true),
    ("delete_group_counter", Endpoint::DeleteGroupCounter, true),
    ("ban_group_member", Endpoint::BanGroupMember, true),
    ("unban_group_member", Endpoint::UnbanGroupMember, true),
    ("get_group_ban_member", Endpoint::GetGroupBanMember, false),
    ("get_appid_group_list", Endpoint::GetAppidGroupList, false),
    ("modify_admin", Endpoint::ModifyAdmin, true),
    ("get_admin_list", Endpoint::GetAdminList, false),
    ("account_import", Endpoint::AccountImport, true),
    ("multiaccount_import", Endpoint::MultiaccountImport, true),
    ("account_check", Endpoint::AccountCheck, false),
    ("account_delete", Endpoint::AccountDelete, true),
];

impl Endpoint {
    /// The services it is reached under.
    fn family(self) -> Family {
        match self {
            Endpoint::AccountImport
            | Endpoint::MultiaccountImport
            | Endpoint::AccountCheck
            | Endpoint::AccountDelete => Family::Accounts,
            _ => Family::Groups,
        }
    }

    /// Where a command stands in [`ENDPOINTS`].
    fn place(family: Family, name: &str) -> Option<usize> {
        ENDPOINTS.iter().position(|(known, endpoint, _)| *known == name && endpoint.family() == family)
    }

    /// What is to be said of it.
    fn about(self) -> &'static About {
        match self {
            Endpoint::CreateGroup => &admin::create_group::ABOUT,
            Endpoint::GetGroupInfo => &admin::get_group_info::ABOUT,
            Endpoint::GetGroupMemberInfo => &admin::get_group_member_info::ABOUT,
            Endpoint::AddGroupMember => &admin::add_group_member::ABOUT,
            Endpoint::DeleteGroupMember => &admin::delete_group_member::ABOUT,
            Endpoint::ModifyGroupBaseInfo => &admin::modify_group_base_info::ABOUT,
            Endpoint::DestroyGroup => &admin::destroy_group::ABOUT,
            Endpoint::GetJoinedGroupList => &admin::get_joined_group_list::ABOUT,
            Endpoint::GetSpecifiedGroupMemberInfo => &admin::get_specified_group_member_info::ABOUT,
            Endpoint::ModifyGroupMemberInfo => &admin::modify_group_member_info::ABOUT,
            Endpoint::GetRoleInGroup => &admin::get_role_in_group::ABOUT,
            Endpoint::ForbidSendMsg => &admin::forbid_send_msg::ABOUT,
            Endpoint::GetGroupMutedAccount => &admin::get_group_muted_account::ABOUT,
            Endpoint::GetGroupShuttedUin => &admin::get_group_shutted_uin::ABOUT,
            Endpoint::ChangeGroupOwner => &admin::change_group_owner::ABOUT,
            Endpoint::ImportGroup => &admin::import_group::ABOUT,
            Endpoint::ImportGroupMember => &admin::import_group_member::ABOUT,
            Endpoint::GetGroupAttr => &admin::get_group_attr::ABOUT,
            Endpoint::SetGroupAttr => &admin::set_group_attr::ABOUT,
            Endpoint::ModifyGroupAttr => &admin::modify_group_attr::ABOUT,
            Endpoint::ClearGroupAttr => &admin::clear_group_attr::ABOUT,
            Endpoint::DeleteGroupAttr => &admin::delete_group_attr::ABOUT,
            Endpoint::GetGroupCounter => &admin::get_group_counter::ABOUT,
            Endpoint::UpdateGroupCounter => &admin::update_group_counter::ABOUT,
            Endpoint::DeleteGroupCounter => &admin::delete_group_counter::ABOUT,
            Endpoint::BanGroupMember => &admin::ban_group_member::ABOUT,
            Endpoint::UnbanGroupMember => &admin::unban_group_member::ABOUT,
            Endpoint::GetGroupBanMember => &admin::get_group_ban_member::ABOUT,
            Endpoint::GetAppidGroupList => &admin::get_appid_group_list::ABOUT,
            Endpoint::ModifyAdmin => &admin::modify_admin::ABOUT,
            Endpoint::GetAdminList => &admin::get_admin_list::ABOUT,
            Endpoint::AccountImport => &accounts::account_import::ABOUT,
            Endpoint::MultiaccountImport => &accounts::multiaccount_import::ABOUT,
            Endpoint::AccountCheck => &accounts::account_check::ABOUT,
            Endpoint::AccountDelete => &accounts::account_delete::ABOUT,
        }
    }

    /// Whether its answers say what they show, so that one may be given again.
    fn is_kept(self) -> bool {
        matches!(self, Endpoint::GetGroupInfo | Endpoint::GetGroupMemberInfo)
    }

    async fn handle(self, service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Rendered, Failure> {
        let answer = match self {
            Endpoint::GetGroupInfo => return admin::get_group_info::handle(service, call, body).await,
            Endpoint::GetGroupMemberInfo => return admin::get_group_member_info::handle(service, call, body).await,
            Endpoint::CreateGroup => admin::create_group::handle(service, call, body).await,
            Endpoint::AddGroupMember => admin::add_group_member::handle(service, call, body).await,
            Endpoint::DeleteGroupMember => admin::delete_group_member::handle(service, call, body).await,
            Endpoint::ModifyGroupBaseInfo => admin::modify_group_base_info::handle(service, call, body).await,
            Endpoint::DestroyGroup => admin::destroy_group::handle(service, call, body).await,
            Endpoint::GetJoinedGroupList => admin::get_joined_group_list::handle(service, call, body).await,
            Endpoint::GetSpecifiedGroupMemberInfo => {
                admin::get_specified_group_member_info::handle(service, call, body).await
            }
            Endpoint::ModifyGroupMemberInfo => admin::modify_group_member_info::handle(service, call, body).await,
            Endpoint::GetRoleInGroup => admin::get_role_in_group::handle(service, call, body).await,
            Endpoint::ForbidSendMsg => admin::forbid_send_msg::handle(service, call, body).await,
            Endpoint::GetGroupMutedAccount => admin::get_group_muted_account::handle(service, call, body).await,
            Endpoint::GetGroupShuttedUin => admin::get_group_shutted_uin::handle(service, call, body).await,
            Endpoint::ChangeGroupOwner => admin::change_group_owner::handle(service, call, body).await,
            Endpoint::ImportGroup => admin::import_group::handle(service, call, body).await,
            Endpoint::ImportGroupMember => admin::import_group_member::handle(service, call, body).await,
            Endpoint::GetGroupAttr => admin::get_group_attr::handle(service, call, body).await,
            Endpoint::SetGroupAttr => admin::set_group_attr::handle(service, call, body).await,
            Endpoint::ModifyGroupAttr => admin::modify_group_attr::handle(service, call, body).await,
            Endpoint::ClearGroupAttr => admin::clear_group_attr::handle(service, call, body).await,
            Endpoint::DeleteGroupAttr => admin::delete_group_attr::handle(service, call, body).await,
            Endpoint::GetGroupCounter => admin::get_group_counter::handle(service, call, body).await,
            Endpoint::UpdateGroupCounter => admin::update_group_counter::handle(service, call, body).await,
            Endpoint::DeleteGroupCounter => admin::delete_group_counter::handle(service, call, body).await,
            Endpoint::BanGroupMember => admin::ban_group_member::handle(service, call, body).await,
            Endpoint::UnbanGroupMember => admin::unban_group_member::handle(service, call, body).await,
            Endpoint::GetGroupBanMember => admin::get_group_ban_member::handle(service, call, body).await,
            Endpoint::GetAppidGroupList => admin::get_appid_group_list::handle(service, call, body).await,
            Endpoint::ModifyAdmin => admin::modify_admin::handle(service, call, body).await,
            Endpoint::GetAdminList => admin::get_admin_list::handle(service, call, body).await,
            Endpoint::AccountImport => accounts::account_import::handle(service, call, body).await,
            Endpoint::MultiaccountImport => accounts::multiaccount_import::handle(service, call, body).await,
            Endpoint::AccountCheck => accounts::account_check::handle(service, call, body).await,
            Endpoint::AccountDelete => accounts::account_delete::handle(service, call, body).await,
        };
        Ok(Rendered { body: answer?, shown: None })
    }
}

/// The front door of a node. Cheap to clone: every HTTP worker has one.
#[derive(Clone)]
pub struct Api(Arc<Door>);

struct Door {
    service: Service,
    /// The same, as read by those who asked for [`STALE`].
    stale: Service,
    nodes: Box<dyn Nodes>,
    rules: FxHashMap<AppId, Rules>,
    auth: Auth,
    http: config::Http,
    strict_accounts: bool,
    kept: KeptAnswers,
    admission: Arc<Admission>,
    /// The id of the next request.
    requests: AtomicU64,
    not_ready: Box<dyn Fn() -> Option<String> + Send + Sync>,
    /// What `/settings` answers.
    settings: Vec<(String, String)>,
    /// One per endpoint, in the order of [`ENDPOINTS`], and one for everything else.
    metrics: Vec<CommandMetrics>,
}

impl Api {
    /// Builds the door to a service for apps and what each is run by; `nodes` are the others, `not_ready` says why the
    /// node cannot serve, if it cannot, and `flushes` what those of its disk take.
    pub fn new(
        config: &Config,
        apps: Vec<(AppSettings, config::App)>,
        service: Service,
        nodes: impl Nodes + 'static,
        not_ready: impl Fn() -> Option<String> + Send + Sync + 'static,
        flushes: impl Fn() -> Flushes + Send + Sync + 'static,
    ) -> Self {
        let names = ENDPOINTS.iter().map(|(name, ..)| *name).chain(["other"]);
        let rules = apps.iter().map(|(settings, app)| (AppId(app.id), Rules::of(config, settings))).collect();
        let apps = apps.into_iter().map(|(_, app)| app).collect();
        Self(Arc::new(Door {
            stale: service.stale(),
            service,
            nodes: Box::new(nodes),
            rules,
            auth: Auth::new(apps, config.auth.clone()),
            http: config.http.clone(),
            strict_accounts: config.ids.user_id_strict,
            kept: KeptAnswers::new(config.api.kept_answers_bytes),
            admission: Arc::new(Admission::new(config.actors.inflight_max, Instant::now(), flushes)),
            // Two runs of a node rarely give the same id, so that logs kept together stay apart.
            requests: AtomicU64::new(rand::random()),
            not_ready: Box::new(not_ready),
            settings: config::settings_differing_from_default(config),
            metrics: names.map(|name| metrics::get().command(name, error::LABELLED)).collect(),
        }))
    }

    /// Where the requests of other nodes come in.
    pub fn back_door(&self) -> BackDoor {
        BackDoor::to(&self.0)
    }

    pub(super) async fn answer(&self, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
        self.0.answer(request, payload).await
    }
}

/// What requests of one app are read and answered by.
struct Rules {
    limits: Limits,
    custom_fields: CustomFields,
    rates: Rates,
    has_communities: bool,
    legacy_mute_names: bool,
    legacy_type_names: bool,
    max_response_bytes: usize,
}

impl Rules {
    /// Those of an app that says nothing itself.
    #[cfg(test)]
    fn new(config: &Config) -> Self {
        Self::of(config, &config.common_settings())
    }

    fn of(config: &Config, settings: &AppSettings) -> Self {
        Self {
            limits: settings.group_limits(&config.groups),
            custom_fields: settings.custom_fields.clone(),
            rates: Rates::new(&config.rate, ENDPOINTS.len(), settings.limits.attr_write_per_sec),
            has_communities: config.features.community,
            legacy_mute_names: config.compat.legacy_mute_names,
            legacy_type_names: config.wire.legacy_type_names,
            max_response_bytes: config.http.max_response_bytes,
        }
    }

    fn group_custom(&self, body: &Object<'_>) -> Result<Vec<CustomField>, Failure> {
        fields::read_custom(body, "AppDefinedData", self.custom_fields.open, &self.custom_fields.group)
    }
}

/// One authenticated request of an app admin.
struct Call<'a> {
    rules: &'a Rules,
    app: AppId,
    caller: AccountId,
    deadline: Instant,
    now_secs: u64,
    /// The name that the caller gave a request that changes something, if any.
    request: Option<ClientRequest>,
    /// The id that was minted for the group that it begins: whoever carries the request out in the end takes it.
    minted: OnceLock<GroupId>,
    /// What is counted when a request is carried out is counted once: not when it is tried again, nor by other nodes.
    is_counted: AtomicBool,
}

/// Where a request comes from, and until when it is to be answered.
struct Origin<'a> {
    app: AppId,
    rules: &'a Rules,
    caller: AccountId,
    deadline: Instant,
    now_secs: u64,
    id: RequestId,
    is_counted: bool,
    minted: Option<GroupId>,
}

/// A request as it was read: whoever leads what it is about can carry it out.
struct Asked<'a> {
    call: Call<'a>,
    id: RequestId,
    /// In [`ENDPOINTS`].
    place: usize,
    body: &'a [u8],
    parsed: Object<'a>,
    service: &'a Service,
}

impl Asked<'_> {
    fn lane(&self) -> Lane {
        if ENDPOINTS[self.place].2 { Lane::Changes } else { Lane::Reads }
    }

    /// Whether it is carried out once, however often it is tried. Commands about accounts do not look at names.
    fn is_repeatable(&self) -> bool {
        self.call.request.is_some() && ENDPOINTS[self.place].1.family() == Family::Groups
    }
}

/// An answer on its way out.
struct Answered {
    body: Bytes,
    /// How old it may be, if it was asked for as it is here and that can be said.
    age: Option<Duration>,
}

impl Call<'_> {
    fn operator(&self) -> Operator {
        Operator::AppAdmin { name: self.caller.clone() }
    }

    /// Has a command carried out that was found to be well formed.
    async fn submit(&self, service: &Service, group: &GroupId, command: Command) -> Result<Answer, SubmitError> {
        let begins = match &command {
            Command::Create(create) => Some(create.kind),
            Command::Import(import) => Some(import.group.kind),
            _ => None,
        };
        if begins == Some(Kind::Community) && !self.rules.has_communities {
            return Err(Refusal::CommunityNotEnabled.into());
        }
        service.submit(self.app, group.clone(), command, self.request.clone(), self.deadline).await
    }

    /// Counts a write of a group's attributes, once it is known to be well formed and before it is submitted.
    ///
    /// # Errors
    /// 10049, 60018.
    fn attribute_write(&self, group: &GroupId) -> Result<(), Failure> {
        if self.is_counted.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.rules.rates.attribute_write(group, &self.caller)
    }

    /// Gives an answer up that has grown too large: 10018.
    fn fits(&self, json: &Json) -> Result<(), Failure> {
        self.may_be(json.len())
    }

    /// The same of an answer that will have so many bytes at least.
    ///
    /// # Errors
    /// 10018.
    fn may_be(&self, bytes: usize) -> Result<(), Failure> {
        let max = self.rules.max_response_bytes;
        if bytes <= max {
            return Ok(());
        }
        Err(Failure::new(error::ANSWER_TOO_LARGE, format!("the answer is larger than {max} bytes, ask for less")))
    }

    /// Writes a list whose length the request decides, each item by `write`; gives it up at the item that makes the
    /// answer too large.
    fn list<T>(
        &self,
        json: &mut Json,
        field: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Json, T),
    ) -> Result<(), Failure> {
        let mut fits = Ok(());
        json.list(field, |json| {
            fits = items.into_iter().try_for_each(|item| {
                json.item(|json| write(json, item));
                self.fits(json)
            });
        });
        fits
    }

    /// Ends an answer whose size the request decides.
    fn sized(&self, json: Json) -> Result<Vec<u8>, Failure> {
        // One byte is still to come.
        self.fits(&json)?;
        Ok(json.finish())
    }
}

impl Door {
    async fn answer(&self, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
        if let Some(response) = ops::answer(self, request) {
            return response;
        }
        let started = Instant::now();
        let command = query::command(request.uri().path());
        let place = command.as_ref().ok().and_then(|(family, name)| Endpoint::place(*family, name));
        let lane = if place.is_some_and(|place| ENDPOINTS[place].2) { Lane::Changes } else { Lane::Reads };
        let mut payload = Some(payload);
        let id = RequestId(self.requests.fetch_add(1, Ordering::Relaxed));
        self.admission.open_round();
        let admitted = match self.admission.admit(lane, started) {
            Ok(admitted) => admitted,
            Err(why) => {
                // The shortest way: there is too much to do as it is.
                if let Some(unread) = payload {
                    request::discard_body(request, unread, &self.http).await;
                }
                return self.respond(place, id, started, Err(turned_away(why)));
            }
        };
        // Whatever is logged on behalf of this request carries its id, on whichever thread.
        let span = tracing::info_span!("request", %id);
        let called = AssertUnwindSafe(self.call(request, &mut payload, command, place, id, started));
        let outcome = match called.catch_unwind().instrument(span.clone()).await {
            Ok(outcome) => outcome,
            Err(panic) => Err(span.in_scope(|| panicked(panic, place))),
        };
        // Whoever takes its time over a body that nobody wants is no load.
        drop(admitted);
        if let Some(unread) = payload {
            // Refused before its body was read: with the body gone the connection can go on.
            request::discard_body(request, unread, &self.http).await;
        }
        self.respond(place, id, started, outcome)
    }

    fn respond(
        &self,
        place: Option<usize>,
        id: RequestId,
        started: Instant,
        outcome: Result<Answered, Failure>,
    ) -> HttpResponse {
        let (code, body, age) = match outcome {
            Ok(Answered { body, age }) => (0, body, age),
            Err(failure) => (failure.code, json::failure(&failure).into(), None),
        };
        self.metrics[place.unwrap_or(ENDPOINTS.len())].answered(code, started.elapsed().as_secs_f64());
        metrics::get().upkeep_each_second(SystemClock.now() / 1000);

        let content_type = HeaderValue::from_static("application/json; charset=utf-8");
        let mut response = HttpResponse::Ok();
        response.insert_header((CONTENT_TYPE, content_type)).insert_header((REQUEST_ID, id.to_string()));
        if let Some(age) = age {
            response.insert_header((STALE_MS, age.as_millis().to_string()));
        }
        response.body(body)
    }

    async fn call(
        &self,
        request: &HttpRequest,
        payload: &mut Option<web::Payload>,
        command: Result<(Family, &str), Failure>,
        place: Option<usize>,
        id: RequestId,
        started: Instant,
    ) -> Result<Answered, Failure> {
        let by_get = request.method() == Method::GET && command.as_ref().is_ok_and(|command| BY_GET.contains(command));
        if request.method() != Method::POST && !by_get {
            return Err(Failure::with_value(error::BAD_HTTP, "method", "expected POST", request.method().as_str()));
        }
        let (_, name) = command?;
        let now_secs = SystemClock.now() / 1000;
        let query = Query::parse(request.query_string(), self.http.strict_query, self.strict_accounts)?;
        let app = self.admin(request, &query, now_secs)?;
        let rules = self.rules_of(app)?;
        rules.rates.request()?;
        let Some(place) = place else {
            return Err(Failure::with_value(error::NO_SUCH_COMMAND, "command", "no such command", name));
        };
        let (_, _, changes) = ENDPOINTS[place];
        rules.rates.command(place)?;
        if name == LIST_ALL_GROUPS {
            rules.rates.listing()?;
        }
        // Read last: who is not let in takes no memory.
        let body = match payload.take() {
            Some(payload) => request::read_body(request, payload, &self.http).await?,
            None => Bytes::new(),
        };
        let turn = self.admission.begin(if changes { Lane::Changes } else { Lane::Reads });
        let body = if by_get && body.is_empty() { Bytes::from_static(b"{}") } else { body };
        let deadline = started + Duration::from_millis(self.http.timeout_ms);
        let is_stale = !changes && request.headers().get(CONSISTENCY).is_some_and(|value| value.as_bytes() == STALE);
        let service = if is_stale { &self.stale } else { &self.service };
        // Looked at before the rows are: what they hold may be younger, never older.
        let behind = if is_stale { self.service.staleness().map(|behind| (behind, Instant::now())) } else { None };
        let origin =
            Origin { app, rules, caller: query.identifier, deadline, now_secs, id, is_counted: false, minted: None };
        let body = if let Some(kept) = self.kept_answer(service, &origin, place, &body).await {
            metrics::get().kept_answers.increment(1);
            kept
        } else {
            self.answered(&self.read(origin, place, &body, service)?, turn).await?
        };
        Ok(Answered { body, age: behind.map(|(behind, since)| behind + since.elapsed()) })
    }

    fn rules_of(&self, app: AppId) -> Result<&Rules, Failure> {
        self.rules.get(&app).ok_or_else(|| Failure::new(error::NO_SUCH_APP, "sdkappid is not known here"))
    }

    /// Reads what is asked.
    fn read<'a>(
        &'a self,
        origin: Origin<'a>,
        place: usize,
        body: &'a [u8],
        service: &'a Service,
    ) -> Result<Asked<'a>, Failure> {
        let Origin { app, rules, caller, deadline, now_secs, id, is_counted, minted } = origin;
        let (command, _, changes) = ENDPOINTS[place];
        let parsed = Object::parse(body, self.strict_accounts)?;
        // Commands about accounts are the same when repeated, and know no such id.
        let has_name = changes && ENDPOINTS[place].1.family() == Family::Groups;
        let request = if has_name { client_request(&parsed, command, &caller)? } else { None };
        let call = Call {
            rules,
            app,
            caller,
            deadline,
            now_secs,
            request,
            minted: minted.map(OnceLock::from).unwrap_or_default(),
            is_counted: AtomicBool::new(is_counted),
        };
        Ok(Asked { call, id, place, body, parsed, service })
    }

    /// Carries a request out on this node, or says why not.
    async fn carry_out(&self, asked: &Asked<'_>) -> Result<Bytes, Failure> {
        let Asked { call, place, body, parsed, service, .. } = asked;
        let rendered = ENDPOINTS[*place].1.handle(service, call, parsed).await?;
        Ok(self.kept.keep(call.app, *place, body, rendered))
    }

    /// The answer to a question that was asked before, if nothing that it shows has changed since.
    async fn kept_answer(&self, service: &Service, origin: &Origin<'_>, place: usize, body: &[u8]) -> Option<Bytes> {
        if !ENDPOINTS[place].1.is_kept() {
            return None;
        }
        let kept = self.kept.find(origin.app, place, body, origin.now_secs)?;
        for (group, version) in &*kept.groups {
            // What cannot be looked up is asked for in full, and that may be tried again.
            if service.version(origin.app, group, origin.deadline).await.ok()? != Some(*version) {
                return None;
            }
        }
        Some(kept.body)
    }

    fn admin(&self, request: &HttpRequest, query: &Query<'_>, now_secs: u64) -> Result<AppId, Failure> {
        let from = request.peer_addr().map(|address| address.ip());
        let caller = Caller { app: query.app, identifier: query.identifier.as_str(), usersig: &query.usersig, from };
        self.auth.admin(&caller, now_secs).map_err(|e| {
            match e {
                auth::AuthError::Locked => metrics::get().auth_locked.increment(1),
                _ => metrics::get().auth_failures.increment(1),
            }
            e.into()
        })
    }
}

/// Reads the name that a caller gives its request, so that a repeated one is carried out once; an empty one is none.
///
/// # Errors
/// 10004 for what is not a string or too long.
///
/// Source: docs/spec/client-operations.md 1.
fn client_request(
    body: &Object<'_>,
    command: &'static str,
    caller: &AccountId,
) -> Result<Option<ClientRequest>, Failure> {
    let Some(id) = body.text("ClientReqId")?.filter(|id| !id.is_empty()) else { return Ok(None) };
    if id.len() > CLIENT_REQUEST_ID_BYTES_MAX {
        return Err(Failure::bad("ClientReqId", "too long"));
    }
    Ok(Some(ClientRequest { caller: caller.clone(), command, id: id.as_ref().into() }))
}

/// What a caller is told who is not let in.
fn turned_away(why: NotNow) -> Failure {
    let info = match why {
        NotNow::Full => {
            metrics::get().http_overload.increment(1);
            "overloaded: too many requests under way"
        }
        NotNow::Overloaded => {
            metrics::get().http_shed.increment(1);
            "overloaded: more requests come than can be answered"
        }
    };
    Failure::new(error::OVERLOADED, info)
}

/// What a caller is told of a handler that panicked: it harms nobody else.
fn panicked(panic: Box<dyn std::any::Any + Send>, place: Option<usize>) -> Failure {
    let reason = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    let (name, _, changes) = place.map_or(("other", Endpoint::GetGroupInfo, false), |place| ENDPOINTS[place]);
    metrics::get().http_panics.increment(1);
    tracing::error!(command = name, reason, "a handler panicked");
    // The change may have been made before the panic; any other text of 10002 would promise that it was not.
    Failure::new(error::INTERNAL, if changes { "outcome unknown: internal error" } else { "internal error" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_one_name() {
        for (i, (name, endpoint, _)) in ENDPOINTS.iter().enumerate() {
            assert!(ENDPOINTS[..i].iter().all(|(other, same, _)| other != name && same != endpoint), "{name}");
        }
    }

    #[test]
    fn a_panic_tells_the_truth_about_what_happened() {
        let of = |name: &str| ENDPOINTS.iter().position(|(known, ..)| *known == name);
        let before = metrics::get().render();
        assert_eq!(panicked(Box::new("x"), of("get_group_info")), Failure::new(10002, "internal error"));
        assert_eq!(
            panicked(Box::new("x".to_owned()), of("create_group")),
            Failure::new(10002, "outcome unknown: internal error")
        );
        assert_ne!(before, metrics::get().render(), "panics are counted");
    }
}
