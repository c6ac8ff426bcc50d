//! The API as an OpenAPI document, for programs; and in tests as `docs/api.md`, for people.
//!
//! Both are made of the descriptions that stand beside the readers ([`about`](super::about)). The document is the same
//! on every node: it names the limits with their defaults, and what an operator has set is at `/settings`.

mod operations;
mod schemas;

#[cfg(test)]
mod page;

use std::sync::LazyLock;

use bytes::Bytes;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Required};

use self::schemas::schema;
use super::about::{Is, Topic, U32};

/// The name that the signature has among the security schemes.
const USERSIG: &str = "UserSig";

const TOPICS: [Topic; 6] =
    [Topic::Groups, Topic::Members, Topic::Silence, Topic::Attributes, Topic::Counters, Topic::Accounts];

impl Topic {
    fn title(self) -> &'static str {
        match self {
            Topic::Groups => "Groups",
            Topic::Members => "Members",
            Topic::Silence => "Mutes and bans",
            Topic::Attributes => "Attributes",
            Topic::Counters => "Counters",
            Topic::Accounts => "Accounts",
        }
    }

    fn means(self) -> &'static str {
        match self {
            Topic::Groups => "Making, reading, changing and disbanding groups.",
            Topic::Members => "Who is in a group and who may do what there. Live rooms (AVChatRoom) store no members.",
            Topic::Silence => "Who may not speak, and who may not enter a live room.",
            Topic::Attributes => "Small texts that belong to a group, under keys of your choice.",
            Topic::Counters => "Numbers that belong to a group, under keys of your choice. Communities have none.",
            Topic::Accounts => {
                "Who exists, a service of its own: `im_open_login_svc`. Commands about groups ask for it only with \
                 `accounts.mode = \"imported\"`."
            }
        }
    }
}

/// The document as it is served.
pub fn document() -> Bytes {
    static DOCUMENT: LazyLock<Bytes> =
        LazyLock::new(|| Bytes::from(openapi().to_json().expect("a document of texts and numbers can be written")));
    DOCUMENT.clone()
}

fn openapi() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Muster")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Manages chat groups. Answers of commands are HTTP 200, and what became of the request is in the body. \
             In a request null counts as absent, unknown fields are ignored, and integers may be written as decimal \
             digits in a string. Answers may gain fields. For people: docs/api.md.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let tag = |topic: Topic| TagBuilder::new().name(topic.title()).description(Some(topic.means())).build();
    let operation = TagBuilder::new().name("Operation").description(Some("For those who run a node.")).build();
    OpenApiBuilder::new()
        .info(info)
        .tags(Some(TOPICS.map(tag).into_iter().chain([operation])))
        .paths(operations::paths())
        .components(Some(components()))
        .build()
}

fn components() -> Components {
    let mut components = schemas::components();
    for (name, parameter) in parameters().into_iter().chain([consistency()]) {
        components.parameters.insert(name.to_owned(), parameter.into());
    }
    let usersig = ApiKeyValue::with_description(
        "usersig",
        "A signature of `sdkappid` and `identifier` with the key of the app: docs/spec/usersig.md.",
    );
    components.add_security_scheme(USERSIG, SecurityScheme::ApiKey(ApiKey::Query(usersig)));
    components
}

/// The header that a read may have.
fn consistency() -> (&'static str, Parameter) {
    let name = "X-Muster-Consistency";
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).schema(Some(schema(STALE)));
    let means = "`stale`: answer from what this node has, without asking who leads the group.";
    (name, parameter.required(Required::False).description(Some(means)).build())
}

const STALE: Is = Is::Word(&["stale"]);

/// The parameters of the address line besides the signature.
fn parameters() -> [(&'static str, Parameter); 4] {
    let parameter = |name, is, required, means| {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).schema(Some(schema(is)));
        (name, parameter.required(required).description(Some(means)).build())
    };
    [
        parameter("sdkappid", U32, Required::True, "The app."),
        parameter("identifier", Is::Account, Required::True, "Who asks: an administrator of the app."),
        parameter("random", U32, Required::False, "Any number; needed with `http.strict_query` only."),
        parameter("contenttype", Is::Word(&["json"]), Required::False, "Needed with `http.strict_query` only."),
    ]
}
