//! What reached the server.

use std::{
    fs::File,
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};

/// One request.
#[derive(Debug, Clone)]
pub struct Record {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body: JSON where it is, else text.
    pub body: Value,
}

impl Record {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn line(&self) -> String {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| json!([name, value])).collect();
        let record = json!({ "method": self.method, "path": self.path, "headers": headers, "body": self.body });
        format!("{record}\n")
    }
}

/// Keeps requests, and writes each as a line of JSON where a file was given.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    kept: Arc<Mutex<Vec<Record>>>,
    file: Option<Arc<File>>,
}

impl Recorder {
    /// Writes to that file too.
    #[must_use]
    pub fn to_file(file: File) -> Self {
        Self { kept: Arc::default(), file: Some(Arc::new(file)) }
    }

    /// All requests so far.
    #[must_use]
    pub fn all(&self) -> Vec<Record> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn add(&self, record: Record) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut file) = self.file.as_deref() {
            file.write_all(record.line().as_bytes())
                .expect("the file of a test takes what is written");
        }
        kept.push(record);
    }
}
