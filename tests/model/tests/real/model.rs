//! The model of one test.

use sandbar_test_model::{Model, ModelConfig, Record, Recorder};
use tokio::runtime::Runtime;

pub(crate) struct Served {
    pub(crate) url: String,
    recorder: Recorder,
    // Dropped with the test, and the server with it.
    _runtime: Runtime,
}

pub(crate) fn serve() -> Served {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let recorder = Recorder::default();
    let config = ModelConfig { recorder: recorder.clone(), ..ModelConfig::default() };
    let model = runtime.block_on(Model::bind("127.0.0.1:0".parse().unwrap(), config)).unwrap();
    let url = format!("http://{}", model.address().unwrap());
    runtime.spawn(model.serve());
    Served { url, recorder, _runtime: runtime }
}

impl Served {
    pub(crate) fn requests(&self) -> Vec<Record> {
        self.recorder.all()
    }
}
