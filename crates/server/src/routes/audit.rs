//! The audit log: a page at a time, or all of it.

use axum::{
    Json as Answer,
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use sandbar_api::{
    AuditExportQuery, AuditFormat, AuditQuery, AuditRecord as Line, AuditTarget, LIMIT_PAGE_MAX,
    Order, Page,
};
use sandbar_engine::{AuditFilter, AuditOrder, AuditRecord, Engine, Error};
use sandbar_types::{Principal, TenantId};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::AskedBy,
    error::ApiError,
    extract::Query,
    page::{page, page_cursor, page_limit},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(audit_list)).routes(routes!(audit_export))
}

/// Lists who asked for what that changes something, newest first. Who runs the server sees every tenant's log, and what
/// belongs to none.
#[utoipa::path(get, path = "/v1/audit", tag = "events",
    extensions(("x-sandbar" = json!({"scope": "admin"}))),
    params(AuditQuery), responses((status = 200, body = Page<Line>)))]
async fn audit_list(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Query(query): Query<AuditQuery>,
) -> Result<Answer<Page<Line>>, ApiError> {
    let AuditQuery { limit, cursor, order, tenant, actor, action, target, since, until } = query;
    let limit = page_limit(limit)?;
    let behind: Option<u64> = page_cursor(cursor.as_deref())?;
    let tenant = whose(&state.engine, &principal, tenant.as_deref()).await?;
    let filter = AuditFilter { tenant, actor, action, target, since, until };
    let order = match order.unwrap_or(Order::Desc) {
        Order::Asc => AuditOrder::OldestFirst(behind.unwrap_or(0)),
        Order::Desc => AuditOrder::NewestFirst(behind),
    };
    let found = state.engine.audit_list(&filter, order, limit + 1).await?;
    Ok(Answer(page(found, limit, |last| last.id.to_string(), body)))
}

/// Sends the audit log, oldest first.
#[utoipa::path(get, path = "/v1/audit/export", tag = "events",
    extensions(("x-sandbar" = json!({"scope": "admin"}))),
    params(AuditExportQuery),
    responses((status = 200, content((String = "application/x-ndjson"), (String = "text/csv")))))]
async fn audit_export(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Query(query): Query<AuditExportQuery>,
) -> Result<Response, ApiError> {
    let AuditExportQuery { format, tenant, actor, action, target, since, until } = query;
    let tenant = whose(&state.engine, &principal, tenant.as_deref()).await?;
    let filter = AuditFilter { tenant, actor, action, target, since, until };
    let format = format.unwrap_or_default();
    let (content_type, heading) = match format {
        AuditFormat::Jsonl => ("application/x-ndjson", Vec::new()),
        AuditFormat::Csv => ("text/csv; charset=utf-8", csv_rows([HEADING.map(ToOwned::to_owned)])),
    };
    let write = move |lines| match format {
        AuditFormat::Jsonl => json_lines(lines),
        AuditFormat::Csv => csv_lines(lines),
    };
    let begun = stream::iter([Ok::<_, Error>(Bytes::from(heading))]);
    let pages =
        stream::try_unfold((state.engine, filter, 0), move |(engine, filter, after)| async move {
            let order = AuditOrder::OldestFirst(after);
            let lines = engine.audit_list(&filter, order, LIMIT_PAGE_MAX).await?;
            let Some(last) = lines.last().map(|line| line.id) else { return Ok(None) };
            Ok(Some((Bytes::from(write(lines)), (engine, filter, last))))
        });
    let body = Body::from_stream(futures_util::StreamExt::chain(begun, pages));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, body).into_response())
}

/// Whose log is read; `None` for everybody's.
async fn whose(
    engine: &Engine,
    principal: &Principal,
    named: Option<&str>,
) -> Result<Option<TenantId>, ApiError> {
    if named.is_none() && principal.is_instance() {
        return Ok(None);
    }
    Ok(Some(engine.tenant_resolve(principal, named).await?))
}

fn body(record: AuditRecord) -> Line {
    Line {
        id: record.id,
        tenant: record.tenant,
        at: record.at,
        actor: record.actor,
        address: record.address,
        action: record.action,
        target: record.target.map(|target| AuditTarget { kind: target.kind, id: target.id }),
        outcome: record.outcome,
        error_code: record.error_code,
        request_id: record.request_id,
        detail: record.detail,
    }
}

fn json_lines(records: Vec<AuditRecord>) -> Vec<u8> {
    records.into_iter().fold(Vec::new(), |mut text, record| {
        serde_json::to_writer(&mut text, &body(record)).expect("a line can be written as JSON");
        text.push(b'\n');
        text
    })
}

const HEADING: [&str; 12] = [
    "id",
    "tenant",
    "at",
    "actor",
    "address",
    "action",
    "target_kind",
    "target_id",
    "outcome",
    "error_code",
    "request_id",
    "detail",
];

fn csv_lines(records: Vec<AuditRecord>) -> Vec<u8> {
    let json = |value: serde_json::Result<String>| value.expect("a value can be written as JSON");
    csv_rows(records.into_iter().map(body).map(|line| {
        let (kind, id) = line.target.map(|target| (target.kind, target.id)).unzip();
        [
            line.id.to_string(),
            line.tenant.map(|id| id.to_string()).unwrap_or_default(),
            line.at.to_string(),
            json(serde_json::to_string(&line.actor)),
            line.address.unwrap_or_default(),
            line.action,
            kind.unwrap_or_default(),
            id.unwrap_or_default(),
            line.outcome.to_string(),
            line.error_code.unwrap_or_default(),
            line.request_id,
            json(serde_json::to_string(&line.detail)),
        ]
    }))
}

fn csv_rows(rows: impl IntoIterator<Item = [String; 12]>) -> Vec<u8> {
    const FITS: &str = "every row has the same cells, and memory takes every write";
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.map(inert)).expect(FITS);
    }
    writer.into_inner().expect(FITS)
}

/// What a spreadsheet would take for a formula, as text.
fn inert(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@']) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_115_no_cell_is_a_formula_or_ends_its_row() {
        let mut row = HEADING.map(ToOwned::to_owned);
        "=1+1".clone_into(&mut row[0]);
        "a\"b\n,c".clone_into(&mut row[1]);
        let text = String::from_utf8(csv_rows([row])).unwrap();
        assert!(text.starts_with("'=1+1,\"a\"\"b\n,c\",at,"), "{text}");
    }
}
