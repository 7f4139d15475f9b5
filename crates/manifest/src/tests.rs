//! Manifests as people write them.

mod bad;
mod documents;
mod good;
mod properties;
mod schema;
mod schema_rules;

use crate::{Reading, read, yaml};

/// The findings as a compiler writes them, without their texts.
fn found(text: &str) -> Vec<String> {
    let show = |f: &crate::Finding| format!("{}:{} {}", f.line, f.column, f.code.as_str());
    read(text).findings.iter().map(show).collect()
}

/// A reading in which nothing was found.
fn good(text: &str) -> sandbar_types::AppSpec {
    let Reading { spec, findings } = read(text);
    assert_eq!(findings, [], "{text}");
    spec.unwrap()
}

/// A manifest that has every field, none with its default.
const EVERY_FIELD: &str = r#"version: 1
web:
  command: node server.js
  port: 8080
  health_path: /up
  restart_after_task: true
  ports: [8081, 8082]
  cwd: packages/site
  env:
    NODE_ENV: development
    RETRIES: 3
    EMPTY:
  after: [database, queue]
  ready:
    http: {port: 8081}
    interval: 1s
    timeout: 2s
    deadline: 3m
  health:
    tcp: {port: 8082}
    interval: 30s
    timeout: 1s
    failures: 5
    restart: true
  stop: {signal: INT, grace: 10s}
  log: {size: 64k, files: 2}
  restart: on-failure
workers:
  - name: database
    command: postgres
    restart_after_task: true
    ports: [5432, 5433]
    cwd: /var/lib/postgres
    env: {PGDATA: data}
    after: [queue]
    ready:
      tcp: {port: 5433}
      interval: 1s
      timeout: 2s
      deadline: 3m
    health:
      command: pg_isready -q
      interval: 30s
      timeout: 1s
      failures: 5
      restart: true
    stop: {signal: SIGQUIT, grace: 1m}
    log: {size: 64k, files: 2}
    restart: never
  - name: queue
    command: queue
    ports: [6000, 6001]
    ready:
      notify: {fd: 4}
    health:
      http: {path: /alive, port: 6001}
  - name: cache
    command: cache
    ready:
      command: cache ping
    health:
      failures: 5
build:
  command: make
  timeout_seconds: 300
"#;

/// The root of a manifest.
fn root(text: &str) -> yaml::Node {
    let mut findings = crate::finding::Findings::default();
    yaml::parse(text, &mut findings).unwrap()
}
