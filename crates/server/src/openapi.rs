//! The document of the API, made from the routes themselves.

use std::collections::{BTreeMap, BTreeSet};

use sandbar_api::{ErrorCode, PROBLEM_JSON, Problem};
use utoipa::{
    OpenApi,
    openapi::{
        Content, ObjectBuilder, Ref, RefOr, ResponseBuilder, Schema,
        path::{Operation, Parameter, PathItem},
        schema::{AdditionalProperties, Type},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

/// What is said about the API as a whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sandbar",
        description = "Sandboxes that are copy-on-write views of real code.\n\nErrors are `application/problem+json`; their codes are in `docs/errors.md`. `{sandbox}` is an id, the unique beginning of one, or a name.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(Problem, ErrorCode)),
    tags(
        (name = "sandboxes", description = "Isolated environments over a workspace."),
        (name = "execs", description = "Commands in a sandbox, with or without a terminal."),
        (name = "files", description = "Files of a workspace."),
        (name = "review", description = "What changed, and the decision about it."),
        (name = "server", description = "The server itself."),
    ),
)]
struct Root;

/// The document before the routes are added.
pub(crate) fn root() -> utoipa::openapi::OpenApi {
    Root::openapi()
}

/// Adds what is the same for every route: errors, and who may ask.
pub(crate) fn finish(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    document.info.contact = None;
    let components = document.components.get_or_insert_default();
    close_variants(&mut components.schemas);
    components
        .add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    // Either is enough: the unix socket asks for no token.
    document.security =
        Some(vec![SecurityRequirement::new("token", [""; 0]), SecurityRequirement::default()]);
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            describe_errors(operation);
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
    let pattern = match parameter.name.as_str() {
        "process" => "^[A-Za-z0-9_-]{1,64}$",
        "If-Match" => r#"^"[ !#-~]*"$"#,
        "Idempotency-Key" => "^[!-~]{1,255}$",
        "Last-Event-ID" => "^[0-9]{1,18}$",
        _ => return,
    };
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build();
    parameter.schema = Some(RefOr::T(Schema::Object(text)));
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [item.get.as_mut(), item.put.as_mut(), item.post.as_mut(), item.delete.as_mut()]
        .into_iter()
        .flatten()
}

fn describe_errors(operation: &mut Operation) {
    let problem = ResponseBuilder::new()
        .description("A problem; `code` says which.")
        .content(PROBLEM_JSON, Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem")))))
        .build();
    operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
}
