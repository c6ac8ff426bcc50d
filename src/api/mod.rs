//! The front door: HTTP in, one command or one read, JSON out.
//!
//! ```text
//! POST /v4/{service}/{command}?sdkappid=..&identifier=..&usersig=..     the admin plane
//! GET  /healthz  /readyz  /metrics  /settings                           for those who run it
//! ```
//!
//! Every answered request of the admin plane is HTTP 200; what became of it is in the body. Checks come in the
//! order of docs/spec/rest-api.md 2.7: room for it, address line, signature, app admin, command, JSON, shape.
//! No rules here, no store and no cluster: see [`Service`].

mod admin;
pub mod auth;
mod body;
pub mod error;
mod fields;
mod json;
mod ops;
mod query;
mod request;
mod usersig;
mod wire;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures::FutureExt;
use tracing::Instrument;

use self::auth::{Auth, Caller};
use self::body::Object;
use self::error::Failure;
use self::json::Json;
use self::query::Query;
use crate::actors::{Service, SubmitError};
use crate::config::{self, Config, CustomFields};
use crate::group::{Answer, Command, CustomField, Limits, Operator};
use crate::id::{AccountId, AppId, GroupId, RequestId};
use crate::metrics::{self, CommandMetrics};
use crate::time::{Clock, SystemClock};

/// Names a request in its answer; the same id stands in what the node logs about it.
const REQUEST_ID: &str = "x-muster-request-id";

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
}

/// The whole admin plane: its name, the command, and whether it changes anything.
const ENDPOINTS: [(&str, Endpoint, bool); 8] = [
    ("create_group", Endpoint::CreateGroup, true),
    ("get_group_info", Endpoint::GetGroupInfo, false),
    ("get_group_member_info", Endpoint::GetGroupMemberInfo, false),
    ("add_group_member", Endpoint::AddGroupMember, true),
    ("delete_group_member", Endpoint::DeleteGroupMember, true),
    ("modify_group_base_info", Endpoint::ModifyGroupBaseInfo, true),
    ("destroy_group", Endpoint::DestroyGroup, true),
    ("get_joined_group_list", Endpoint::GetJoinedGroupList, false),
];

impl Endpoint {
    async fn handle(self, service: &Service, call: &Call<'_>, body: &Object<'_>) -> Result<Vec<u8>, Failure> {
        match self {
            Endpoint::CreateGroup => admin::create_group::handle(service, call, body).await,
            Endpoint::GetGroupInfo => admin::get_group_info::handle(service, call, body).await,
            Endpoint::GetGroupMemberInfo => admin::get_group_member_info::handle(service, call, body).await,
            Endpoint::AddGroupMember => admin::add_group_member::handle(service, call, body).await,
            Endpoint::DeleteGroupMember => admin::delete_group_member::handle(service, call, body).await,
            Endpoint::ModifyGroupBaseInfo => admin::modify_group_base_info::handle(service, call, body).await,
            Endpoint::DestroyGroup => admin::destroy_group::handle(service, call, body).await,
            Endpoint::GetJoinedGroupList => admin::get_joined_group_list::handle(service, call, body).await,
        }
    }
}

/// The front door of a node. Cheap to clone: every HTTP worker has one.
#[derive(Clone)]
pub struct Api(Arc<Door>);

struct Door {
    service: Service,
    rules: Rules,
    auth: Auth,
    http: config::Http,
    inflight: AtomicUsize,
    /// The id of the next request.
    requests: AtomicU64,
    inflight_max: usize,
    not_ready: Box<dyn Fn() -> Option<String> + Send + Sync>,
    /// What `/settings` answers.
    settings: Vec<(String, String)>,
    /// One per endpoint, in the order of [`ENDPOINTS`], and one for everything else.
    metrics: Vec<CommandMetrics>,
}

impl Api {
    /// Builds the door to a service; `not_ready` says why the node cannot serve, if it cannot.
    pub fn new(
        config: &Config,
        apps: Vec<config::App>,
        service: Service,
        not_ready: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let names = ENDPOINTS.iter().map(|(name, ..)| *name).chain(["other"]);
        Self(Arc::new(Door {
            service,
            rules: Rules::new(config),
            auth: Auth::new(apps, config.auth.clone()),
            http: config.http.clone(),
            inflight: AtomicUsize::new(0),
            // Two runs of a node rarely give the same id, so that logs kept together stay apart.
            requests: AtomicU64::new(rand::random()),
            inflight_max: config.actors.inflight_max,
            not_ready: Box::new(not_ready),
            settings: config::settings_differing_from_default(config),
            metrics: names.map(|name| metrics::get().command(name, error::LABELLED)).collect(),
        }))
    }

    /// Mounts everything. The path is matched here and not by a router: there is one shape of it.
    pub fn routes(&self, routes: &mut web::ServiceConfig) {
        let api = self.clone();
        routes.default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
            let api = api.clone();
            async move { api.0.answer(&request, payload).await }
        }));
    }
}

/// What requests are read and answered by.
struct Rules {
    limits: Limits,
    custom_fields: CustomFields,
    strict_accounts: bool,
    strict_query: bool,
    legacy_mute_names: bool,
    legacy_type_names: bool,
    max_response_bytes: usize,
}

impl Rules {
    fn new(config: &Config) -> Self {
        Self {
            limits: config.group_limits(),
            custom_fields: config.custom_fields.clone(),
            strict_accounts: config.ids.user_id_strict,
            strict_query: config.http.strict_query,
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
}

impl Call<'_> {
    fn operator(&self) -> Operator {
        Operator::AppAdmin { name: self.caller.clone() }
    }

    async fn submit(&self, service: &Service, group: &GroupId, command: Command) -> Result<Answer, SubmitError> {
        service.submit(self.app, group.clone(), command, self.deadline).await
    }

    /// Gives an answer up that has grown too large: 10018.
    fn fits(&self, json: &Json) -> Result<(), Failure> {
        let max = self.rules.max_response_bytes;
        if json.len() <= max {
            return Ok(());
        }
        Err(Failure::new(error::ANSWER_TOO_LARGE, format!("the answer is larger than {max} bytes, ask for less")))
    }

    /// Ends an answer whose size the request decides.
    fn sized(&self, json: Json) -> Result<Vec<u8>, Failure> {
        // One byte is still to come.
        self.fits(&json)?;
        Ok(json.finish())
    }
}

/// A request's place among those under way; leaves it when dropped, also when the client went away.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Door {
    async fn answer(&self, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
        if let Some(response) = ops::answer(self, request) {
            return response;
        }
        let started = Instant::now();
        let command = query::command(request.uri().path());
        let place = command.as_ref().ok().and_then(|name| ENDPOINTS.iter().position(|(known, ..)| known == name));
        let mut payload = Some(payload);
        let id = RequestId(self.requests.fetch_add(1, Ordering::Relaxed));
        // Whatever is logged on behalf of this request carries its id, on whichever thread.
        let span = tracing::info_span!("request", %id);
        let called = AssertUnwindSafe(self.call(request, &mut payload, command, place, started));
        let outcome = match called.catch_unwind().instrument(span.clone()).await {
            Ok(outcome) => outcome,
            Err(panic) => Err(span.in_scope(|| panicked(panic, place))),
        };
        if let Some(unread) = payload {
            // Refused before its body was read: with the body gone the connection can go on.
            request::discard_body(request, unread, &self.http).await;
        }
        let (code, body) = match outcome {
            Ok(body) => (0, body),
            Err(failure) => (failure.code, json::failure(&failure)),
        };
        self.metrics[place.unwrap_or(ENDPOINTS.len())].answered(code, started.elapsed().as_secs_f64());
        metrics::get().upkeep_each_second(SystemClock.now() / 1000);

        let content_type = HeaderValue::from_static("application/json; charset=utf-8");
        HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, content_type))
            .insert_header((REQUEST_ID, id.to_string()))
            .body(body)
    }

    async fn call(
        &self,
        request: &HttpRequest,
        payload: &mut Option<web::Payload>,
        command: Result<&str, Failure>,
        place: Option<usize>,
        started: Instant,
    ) -> Result<Vec<u8>, Failure> {
        let _place = self.admit()?;
        if request.method() != Method::POST {
            return Err(Failure::with_value(error::BAD_HTTP, "method", "expected POST", request.method().as_str()));
        }
        let name = command?;
        let now_secs = SystemClock.now() / 1000;
        let query = Query::parse(request.query_string(), self.rules.strict_query, self.rules.strict_accounts)?;
        let app = self.admin(request, &query, now_secs)?;
        let Some((_, endpoint, _)) = place.map(|place| ENDPOINTS[place]) else {
            return Err(Failure::with_value(error::NO_SUCH_COMMAND, "command", "no such command", name));
        };
        // Read last: who is not let in takes no memory.
        let body = match payload.take() {
            Some(payload) => request::read_body(request, payload, &self.http).await?,
            None => Bytes::new(),
        };
        let body = Object::parse(&body, self.rules.strict_accounts)?;
        let deadline = started + Duration::from_millis(self.http.timeout_ms);
        let call = Call { rules: &self.rules, app, caller: query.identifier, deadline, now_secs };
        endpoint.handle(&self.service, &call, &body).await
    }

    /// Takes a place among the requests under way, before any work is done for it.
    fn admit(&self) -> Result<Place<'_>, Failure> {
        let under_way = self.inflight.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.inflight);
        if under_way >= self.inflight_max {
            metrics::get().http_overload.increment(1);
            return Err(Failure::new(error::OVERLOADED, "overloaded: too many requests under way"));
        }
        Ok(place)
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
