//! The document of the API, made from the routes themselves.

use sandbar_api::{ErrorCode, PROBLEM_JSON, Problem};
use utoipa::{
    OpenApi,
    openapi::{
        Content, Ref, RefOr, ResponseBuilder,
        path::{Operation, PathItem},
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
    components
        .add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    // Either is enough: the unix socket asks for no token.
    document.security =
        Some(vec![SecurityRequirement::new("token", [""; 0]), SecurityRequirement::default()]);
    for item in document.paths.paths.values_mut() {
        operations(item).for_each(describe_errors);
    }
    document
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
