//! Commands, and the addresses for those who run a node, as operations.

use serde_json::{Value, json};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, PathItemBuilder, PathsBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{AllOfBuilder, OneOfBuilder, Paths, Ref, Required, ResponseBuilder, ResponsesBuilder};

use super::schemas::{FAILURE, OK, meanings, object, schema};
use super::{USERSIG, consistency, parameters};
use crate::api::about::{About, Field, Is, Topic, U32, optional, prose};
use crate::api::query::Family;
use crate::api::{ENDPOINTS, LIST_ALL_GROUPS, REQUEST_ID, STALE_MS};

/// The service that a command is described under; those of a family answer to the same commands.
pub const fn service(family: Family) -> &'static str {
    match family {
        Family::Groups => "group_open_http_svc",
        Family::Accounts => "im_open_login_svc",
    }
}

/// The name that a caller may give a request that changes something. Source: docs/spec/client-operations.md 1.
pub const CLIENT_REQUEST_ID: Field =
    optional("ClientReqId", Is::Text, "a name for this request, at most 64 bytes; repeated, it is carried out once");

/// Answered to whoever runs a node.
pub const FOR_OPERATORS: [(&str, &str, &str); 5] = [
    ("/healthz", "text/plain", "Says that the process lives."),
    ("/readyz", "text/plain", "Says whether the node can take work: 200, or 503 with the reason."),
    ("/metrics", "text/plain", "Answers the metrics of the node in the form of Prometheus."),
    ("/settings", "application/json", "Answers what is set differently from the defaults, without secrets."),
    ("/openapi.json", "application/json", "Answers this API as an OpenAPI document."),
];

pub fn paths() -> Paths {
    let mut paths = PathsBuilder::new();
    for (name, endpoint, changes) in ENDPOINTS {
        let about = endpoint.about();
        let path = format!("/v4/{}/{name}", service(endpoint.family()));
        let mut item = PathItemBuilder::new().operation(HttpMethod::Post, operation(name, about, changes));
        if name == LIST_ALL_GROUPS {
            let by_get = OperationBuilder::from(operation(name, about, changes));
            // Bodies of a GET have no meaning to many programs; without one it is the first page.
            item = item.operation(HttpMethod::Get, by_get.operation_id(Some("list_all_groups")).request_body(None));
        }
        paths = paths.path(path, item.build());
    }
    for (path, content, summary) in FOR_OPERATORS {
        paths = paths
            .path(path, PathItemBuilder::new().operation(HttpMethod::Get, for_operators(content, summary)).build());
    }
    paths.build()
}

fn operation(name: &str, about: &'static About, changes: bool) -> Operation {
    let notes: Vec<String> = about.notes.iter().map(|note| prose(note)).collect();
    let request = ContentBuilder::new().schema(Some(request_schema(about, changes)));
    let request = request.example(Some(parsed(about.example.request)));
    let body = RequestBodyBuilder::new().required(Some(Required::True)).content("application/json", request.build());
    let mut operation = OperationBuilder::new()
        .operation_id(Some(name))
        .tag(about.topic.title())
        .summary(Some(about.summary))
        .description((!notes.is_empty()).then(|| notes.join(" ")))
        .security(SecurityRequirement::new::<_, [&str; 0], &str>(USERSIG, []))
        .request_body(Some(body.build()))
        .responses(ResponsesBuilder::new().response("200", response(about, changes).build()));
    let header = (!changes).then(consistency);
    for (name, _) in parameters().into_iter().chain(header) {
        operation = operation.parameter_ref(Ref::new(format!("#/components/parameters/{name}")));
    }
    operation.build()
}

fn request_schema(about: &'static About, changes: bool) -> Schema {
    let request = object(&about.request);
    // Commands about accounts have no use for it.
    if !changes || about.topic == Topic::Accounts {
        return request;
    }
    let field = ObjectBuilder::new().property(
        CLIENT_REQUEST_ID.name,
        ObjectBuilder::new().schema_type(Type::String).description(Some(CLIENT_REQUEST_ID.meaning())),
    );
    AllOfBuilder::new().item(request).item(field).into()
}

fn response(about: &'static About, changes: bool) -> ResponseBuilder {
    let ok = AllOfBuilder::new().item(Ref::from_schema_name(OK)).item(object(&about.answer));
    let codes = ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some(about.codes()));
    let codes = codes.description((!about.refusals.is_empty()).then(|| meanings(about.refusals)));
    let failure = AllOfBuilder::new()
        .item(Ref::from_schema_name(FAILURE))
        .item(ObjectBuilder::new().property("ErrorCode", codes));
    let answer: Schema = OneOfBuilder::new().item(ok).item(failure).into();
    let content = ContentBuilder::new().schema(Some(answer)).example(Some(example_answer(about)));
    let id =
        HeaderBuilder::new().schema(Some(schema(Is::Text))).description(Some("Names the request in the log.")).build();
    let response = ResponseBuilder::new().description("What became of the request.").header(REQUEST_ID, id);
    let response = response.content("application/json", content.build());
    if changes {
        return response;
    }
    let means = "How old the answer may be, if it was asked for as this node has it.";
    response.header(STALE_MS, HeaderBuilder::new().schema(Some(schema(U32))).description(Some(means)).build())
}

/// The example with its envelope.
fn example_answer(about: &About) -> Value {
    let mut answer = parsed(about.example.answer);
    for (name, value) in [("ActionStatus", json!("OK")), ("ErrorInfo", json!("")), ("ErrorCode", json!(0))] {
        answer[name] = value;
    }
    answer
}

fn parsed(example: &str) -> Value {
    serde_json::from_str(example).expect("examples are JSON: each is read in a test")
}

fn for_operators(content: &str, summary: &str) -> Operation {
    let body = match content {
        "application/json" => Schema::Object(ObjectBuilder::new().schema_type(Type::Object).build()),
        _ => Schema::Object(ObjectBuilder::new().schema_type(Type::String).build()),
    };
    let response = |description: &str| {
        let content_of = ContentBuilder::new().schema(Some(body.clone())).build();
        ResponseBuilder::new().description(description).content(content, content_of).build()
    };
    let mut responses = ResponsesBuilder::new().response("200", response("The answer."));
    if summary.contains("503") {
        responses = responses.response("503", response("Why the node cannot take work."));
    }
    OperationBuilder::new().tag("Operation").summary(Some(summary)).responses(responses).build()
}
