//! What a tenant may have: decided in the transaction that records the sandbox, so that two creates cannot both fit.

use sandbar_store::{Reads, TenantRow, WriteTxn, tenant_fetch, tenant_list_limits};
use sandbar_types::{SandboxSpec, Source, TenantId};

use crate::{Error, ErrorKind, Result, metrics::Metrics};

/// Lets the sandboxes of `tenant` be made over `source`, or says that it may not. Returns the tenant.
///
/// Asked before the host is, so that nobody learns what is where they may not look; and again once links on the way to
/// the source are followed.
pub(super) async fn admit_source(
    conn: &mut impl Reads,
    tenant: TenantId,
    source: &Source,
) -> Result<TenantRow> {
    let row = tenant_fetch(conn, tenant).await?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "tenant_not_found", format!("there is no tenant {tenant}"))
    })?;
    if let (Source::Directory { path }, Some(roots)) = (source, &row.source_roots) {
        // Every tenant's sandboxes read with the server's own rights: without this, they would read each other's code.
        if !roots.iter().any(|root| path == root || path.is_within(root)) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "source_forbidden",
                format!("`{path}` is not below a directory that tenant `{}` may use", row.name),
            )
            .hint("begin empty or from a preset, or ask who runs the server for the directory"));
        }
    }
    Ok(row)
}

/// Lets `spec` be a sandbox of `tenant`, or says which part of its quota stands in the way.
pub(super) async fn admit(
    txn: &mut WriteTxn,
    tenant: TenantId,
    spec: &SandboxSpec,
    metrics: &Metrics,
) -> Result<()> {
    let row = admit_source(txn, tenant, &spec.source).await?;
    let held = tenant_list_limits(txn, tenant).await?;
    let Some((kind, used, would_be, most)) = row.quota.exceeded(&held, &spec.limits) else {
        return Ok(());
    };
    metrics.quota_refused(kind);
    let kind = kind.as_str();
    Err(Error::new(
        ErrorKind::LimitReached,
        "quota_exceeded",
        format!(
            "tenant `{}` may have {most} of `{kind}`; it has {used}, and would have {would_be}",
            row.name
        ),
    )
    .hint("delete sandboxes, ask for smaller `limits`, or have the quota raised")
    .details(
        &serde_json::json!({ "quota": kind, "max": most, "used": used, "would_be": would_be }),
    ))
}
