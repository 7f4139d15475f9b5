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
    AccountName, AgentName, ApiKeyId, AppId, AppName, AppTag, ApproveId, CheckpointId,
    CredentialId, CredentialName, EnvName, ExecId, ExternalId, HostPath, HunkId, KeyName, LineText,
    LinkTarget, QuestionId, SandboxId, SandboxName, Sha256, TaskId, TenantId, UserId, WebhookId,
    WorkspacePath,
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

/// As [`BASE64`], or no byte at all.
const BASE64_OR_NOTHING: &str =
    "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

/// No byte is zero: neither the first of a group of three, nor the second, nor the third.
const WITHOUT_NUL: &str = "^(?!([A-Za-z0-9+/]{4})*(A[A-P]|.[AQgw][A-D]|..[AEIMQUYcgkosw048]A))";
/// The first byte is `/`.
const ABSOLUTE: &str = "^(?=L[w-z0-9+/])";
/// The first byte is not `/`.
const RELATIVE: &str = "^(?!L[w-z0-9+/])";
/// No component of a text is `..`.
const WITHOUT_PARENT: &str = r"^(?!([^\u0000]*/)?\.\.(/|$))";

/// Bytes that are text where they can be: see `path::PathText`.
fn bytes_or_text(pattern: Option<&str>, base64: &str, description: &str) -> RefOr<Schema> {
    let encoded = ObjectBuilder::new()
        .property("b64", ObjectBuilder::new().schema_type(Type::String).pattern(Some(base64)))
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
schema!(AppId, text(format!("^{}[0-9a-f]{{32}}$", AppId::PREFIX), "Names an app."));
schema!(ApproveId, text(format!("^{}[0-9a-f]{{32}}$", ApproveId::PREFIX), "Names one approve."));
schema!(TaskId, text(format!("^{}[0-9a-f]{{32}}$", TaskId::PREFIX), "Names a task."));
schema!(
    CheckpointId,
    text(format!("^{}[0-9a-f]{{32}}$", CheckpointId::PREFIX), "Names a checkpoint.")
);
schema!(AgentName, text("^[a-z0-9-]{1,32}$".to_owned(), "The name of an agent."));
schema!(QuestionId, text("^[A-Za-z0-9_-]{1,64}$".to_owned(), "Names a question of a task."));
schema!(
    CredentialId,
    text(format!("^{}[0-9a-f]{{32}}$", CredentialId::PREFIX), "Names a credential.")
);
schema!(
    CredentialName,
    text("^[a-z0-9][a-z0-9._-]{0,63}$".to_owned(), "What a credential is called.")
);
schema!(TenantId, text(format!("^{}[0-9a-f]{{32}}$", TenantId::PREFIX), "Names a tenant."));
schema!(WebhookId, text(format!("^{}[0-9a-f]{{32}}$", WebhookId::PREFIX), "Names a webhook."));
schema!(UserId, text(format!("^{}[0-9a-f]{{32}}$", UserId::PREFIX), "Names a user."));
schema!(ApiKeyId, text(format!("^{}[0-9a-f]{{32}}$", ApiKeyId::PREFIX), "Names an API key."));
schema!(
    AccountName,
    text("^[a-z0-9][a-z0-9._@+-]{0,63}$".to_owned(), "The name of a tenant or a user.")
);
schema!(
    KeyName,
    text(
        "^[!-~]([ -~]{0,62}[!-~])?$".to_owned(),
        "What an API key is for, in words of whoever made it."
    )
);
schema!(
    SandboxName,
    text(
        "^(?!sb_)[a-z0-9][a-z0-9._-]{0,63}$".to_owned(),
        "The name that a person gives a sandbox."
    )
);
schema!(AppName, text("^(?!sb_|app_)[a-z0-9][a-z0-9._-]{0,63}$".to_owned(), "The name of an app."));
schema!(
    AppTag,
    text("^[a-z0-9][a-z0-9._:/-]{0,63}$".to_owned(), "A word that an app is filed under.")
);
schema!(
    ExternalId,
    text("^[!-~]{1,255}$".to_owned(), "What another program calls a user or a project of its own.")
);
schema!(
    EnvName,
    text("^[A-Za-z_][A-Za-z0-9_]{0,255}$".to_owned(), "The name of an environment variable.")
);
schema!(HunkId, text("^[0-9a-fA-F]{16}$".to_owned(), "Names a hunk of a change."));
schema!(Sha256, text("^[0-9a-fA-F]{64}$".to_owned(), "A SHA-256, in hexadecimal."));
schema!(
    WorkspacePath,
    bytes_or_text(
        Some(&format!(r"{WITHOUT_PARENT}[^/\u0000][^\u0000]*$")),
        &[WITHOUT_NUL, RELATIVE, BASE64].concat(),
        "A path below the root of the workspace: relative, without `..`; text where it is UTF-8."
    )
);
schema!(
    HostPath,
    bytes_or_text(
        Some(&format!(r"{WITHOUT_PARENT}/[^\u0000]*$")),
        &[WITHOUT_NUL, ABSOLUTE, BASE64].concat(),
        "An absolute path of the host, without `..`; text where it is UTF-8."
    )
);
schema!(LinkTarget, bytes_or_text(None, BASE64, "Where a link points; text where it is UTF-8."));
schema!(
    LineText,
    bytes_or_text(None, BASE64_OR_NOTHING, "A line with its end; text where it is UTF-8.")
);
