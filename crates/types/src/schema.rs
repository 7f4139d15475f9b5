//! How the values that write their own JSON look in the document of the API.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, OneOfBuilder, RefOr,
        schema::{AdditionalProperties, Schema, Type},
    },
};

use crate::{
    ApiKeyId, ApproveId, ExecId, HostPath, HunkId, LineText, LinkTarget, SandboxId, Sha256,
    TenantId, UserId, WorkspacePath,
};

fn text(pattern: String, description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(pattern))
        .description(Some(description))
        .into()
}

/// Standard base64 (RFC 4648, section 4) of at least one byte; bits that no byte has are zero.
const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)$";

/// Bytes that are text where they can be: see `path::PathText`.
fn bytes_or_text(pattern: Option<&str>, description: &str) -> RefOr<Schema> {
    let encoded = ObjectBuilder::new()
        .property("b64", ObjectBuilder::new().schema_type(Type::String).pattern(Some(BASE64)))
        .required("b64")
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
        .description(Some("Bytes that are not UTF-8, in base64."));
    OneOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::String).pattern(pattern))
        .item(encoded)
        .description(Some(description))
        .into()
}

macro_rules! schema {
    ($name:ident, $schema:expr) => {
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

schema!(SandboxId, text(format!("^{}[0-9a-f]{{32}}$", SandboxId::PREFIX), "Names a sandbox."));
schema!(
    ExecId,
    text(format!("^{}[0-9a-f]{{32}}$", ExecId::PREFIX), "Names one exec of a sandbox.")
);
schema!(ApproveId, text(format!("^{}[0-9a-f]{{32}}$", ApproveId::PREFIX), "Names one approve."));
schema!(TenantId, text(format!("^{}[0-9a-f]{{32}}$", TenantId::PREFIX), "Names a tenant."));
schema!(UserId, text(format!("^{}[0-9a-f]{{32}}$", UserId::PREFIX), "Names a user."));
schema!(ApiKeyId, text(format!("^{}[0-9a-f]{{32}}$", ApiKeyId::PREFIX), "Names an API key."));
schema!(HunkId, text("^[0-9a-fA-F]{16}$".to_owned(), "Names a hunk of a change."));
schema!(Sha256, text("^[0-9a-fA-F]{64}$".to_owned(), "A SHA-256, in hexadecimal."));
schema!(
    WorkspacePath,
    bytes_or_text(
        Some(r"^[^/\u0000][^\u0000]*$"),
        "A path below the root of the workspace: relative, without `..`; text where it is UTF-8."
    )
);
schema!(
    HostPath,
    bytes_or_text(
        Some(r"^/[^\u0000]*$"),
        "An absolute path of the host, without `..`; text where it is UTF-8."
    )
);
schema!(LinkTarget, bytes_or_text(None, "Where a link points; text where it is UTF-8."));
schema!(LineText, bytes_or_text(None, "A line with its end; text where it is UTF-8."));
