//! The document of the API, made from the routes themselves.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use sandbar_api::{ErrorCode, PROBLEM_JSON, Problem};
use utoipa::{
    OpenApi, PartialSchema, ToSchema,
    openapi::{
        Content, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, Schema,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
        schema::{AdditionalProperties, KnownFormat, SchemaFormat, Type},
        security::{
            ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
        },
    },
};

use crate::{idempotency, integers};

/// Where an operation says what there is no word for in OpenAPI. One object, because extensions have no order of their own.
///
/// `scope` is what it asks of who asks: `none`, `any` (that they are known), a scope, or `instance` (that they run the
/// server). `audit` is what it is called in the audit log.
const EXTENSION: &str = "x-sandbar";

/// What is said about the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sandbar",
        description = "Sandboxes that are copy-on-write views of real code.\n\nErrors are `application/problem+json`; their codes are in `docs/errors.md`. `{sandbox}` is an id, the unique beginning of one, a name, or the id or name of an app, whose current sandbox it is. `{app}` is an id or a name.\n\n`scope` of `x-sandbar` says what a route asks of who asks: `none`, `any` (that they are known), one of the scopes `read`, `write`, `review` and `admin`, or `instance` (that they run the server, by its socket or token file).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(Problem, ErrorCode)),
    tags(
        (name = "sandboxes", description = "Isolated environments over a workspace."),
        (name = "apps", description = "Named projects that outlive their sandboxes."),
        (name = "execs", description = "Commands in a sandbox, with or without a terminal."),
        (name = "files", description = "Files of a workspace."),
        (name = "tasks", description = "What agents are asked to do."),
        (name = "review", description = "What changed, and the decision about it."),
        (name = "events", description = "What happened."),
        (name = "config", description = "Settings and secrets."),
        (name = "accounts", description = "Who may ask: users, sessions, API keys, tenants."),
        (name = "server", description = "The server itself."),
    ),
)]
struct Root;

/// A body of bytes that are no JSON.
pub(crate) struct Bytes;

impl PartialSchema for Bytes {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
    }
}

impl ToSchema for Bytes {}

/// The document before the routes are added.
pub(crate) fn root() -> utoipa::openapi::OpenApi {
    Root::openapi()
}

/// Adds what is the same for every route: errors, and who may ask.
pub(crate) fn finish(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    document.info.contact = None;
    let components = document.components.get_or_insert_default();
    close_variants(&mut components.schemas);
    components.schemas.values_mut().for_each(integers::bound);
    components
        .add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let cookie = ApiKeyValue::new("sandbar_session");
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    // Any is enough: the unix socket asks for none of them.
    document.security = Some(vec![
        SecurityRequirement::new("token", [""; 0]),
        SecurityRequirement::new("session", [""; 0]),
        SecurityRequirement::default(),
    ]);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            describe(operation);
            if idempotency::is_taken(method, path) {
                take_header(operation, "Idempotency-Key", "Makes a repeated request one request.");
            }
            operation.parameters.iter_mut().flatten().for_each(bound);
        }
    }
    document
}

/// No variant of an enumeration takes a field that it does not name, unless it is flattened into something larger.
fn close_variants(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    let flattened: BTreeSet<String> = schemas.values().flat_map(flattened).collect();
    for (name, schema) in schemas {
        let RefOr::T(Schema::OneOf(variants)) = schema else { continue };
        if flattened.contains(name) {
            continue;
        }
        for variant in &mut variants.items {
            if let RefOr::T(Schema::Object(object)) = variant
                && !object.properties.is_empty()
            {
                let closed = AdditionalProperties::FreeForm(false);
                object.additional_properties.get_or_insert_with(|| Box::new(closed));
            }
        }
    }
}

/// The schemas whose fields stand among those of this one.
fn flattened(schema: &RefOr<Schema>) -> Vec<String> {
    let RefOr::T(Schema::AllOf(parts)) = schema else { return Vec::new() };
    let refs = parts.items.iter().filter_map(|part| match part {
        RefOr::Ref(part) => part.ref_location.rsplit('/').next().map(ToOwned::to_owned),
        RefOr::T(_) => None,
    });
    refs.collect()
}

/// Says which texts a parameter takes, where that is the same for every route.
fn bound(parameter: &mut RefOr<Parameter>) {
    let RefOr::T(parameter) = parameter else { return };
    parameter.schema.iter_mut().for_each(integers::bound);
    let pattern = match parameter.name.as_str() {
        "process" => "^[A-Za-z0-9_-]{1,64}$",
        "Idempotency-Key" => "^[!-~]{1,255}$",
        "Last-Event-ID" => "^[0-9]{1,18}$",
        _ => return,
    };
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build();
    parameter.schema = Some(RefOr::T(Schema::Object(text)));
}

/// Every operation of a path, with its method.
pub(crate) fn operations(
    item: &mut PathItem,
) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("GET", item.get.as_mut()),
        ("PUT", item.put.as_mut()),
        ("POST", item.post.as_mut()),
        ("DELETE", item.delete.as_mut()),
        ("PATCH", item.patch.as_mut()),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation?)))
}

/// Adds a header that may be left out.
fn take_header(operation: &mut Operation, name: &str, description: &str) {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let header = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(text));
    operation.parameters.get_or_insert_default().push(RefOr::T(header.build()));
}

/// What an operation declares of itself as `what`.
pub(crate) fn declared<'o>(operation: &'o Operation, what: &str) -> Option<&'o str> {
    operation.extensions.as_ref()?.get(EXTENSION)?.get(what)?.as_str()
}

fn describe(operation: &mut Operation) {
    if declared(operation, "scope") == Some("none") {
        operation.security = Some(Vec::new());
    }
    for (status, response) in &mut operation.responses.responses {
        let reason = status.parse().ok().and_then(|status: StatusCode| status.canonical_reason());
        if let (RefOr::T(response), Some(reason)) = (response, reason)
            && response.description.is_empty()
        {
            // OpenAPI wants one of every response.
            response.description = format!("{reason}.");
        }
    }
    let problem = ResponseBuilder::new()
        .description("A problem; `code` says which.")
        .content(PROBLEM_JSON, Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem")))))
        .build();
    operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
}
