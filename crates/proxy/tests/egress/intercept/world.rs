//! An upstream with TLS of its own, and a client that trusts what a sandbox would.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject as _,
    },
};
use sandbar_proxy::egress::{
    Authority, Credential, CredentialLog, CredentialRenewer, CredentialSet, EgressLimits,
    Interception, Passage, outside,
};
use sandbar_types::{InjectionPlace, InjectionRule};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use crate::fixture::{Fixture, SOON, Server, policy_for, server};

pub(crate) const HOST: &str = "api.example";
pub(crate) const SECRET: &str = "sk-real-5Jq8/ZxT+mN2vB7wR4cY";
pub(crate) const PLACEHOLDER: &str = "sbx-placeholder-00112233445566";

pub(crate) type Incoming = tokio_rustls::server::TlsStream<TcpStream>;

/// What an upstream has for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificate {
    Good,
    Expired,
    OtherName,
    SelfSigned,
}

pub(crate) struct Upstream {
    pub(crate) server: Server,
    pub(crate) roots: RootCertStore,
}

impl Upstream {
    /// A server that `serve` answers for, after a handshake.
    pub(crate) async fn new<F>(
        certificate: Certificate,
        serve: impl Fn(Incoming) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::speaking(certificate, b"http/1.1", serve).await
    }

    pub(crate) async fn speaking<F>(
        certificate: Certificate,
        alpn: &[u8],
        serve: impl Fn(Incoming) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (mut config, roots) = certified(certificate);
        config.alpn_protocols = vec![alpn.to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let serve = Arc::new(serve);
        let server = server(move |stream| {
            let (acceptor, serve) = (acceptor.clone(), Arc::clone(&serve));
            async move {
                // A client that does not trust us goes away.
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
            }
        })
        .await;
        Self { server, roots }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }
}

/// A server, and whom those trust who trust it.
pub(crate) fn certified(certificate: Certificate) -> (ServerConfig, RootCertStore) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "Upstream CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let name = if certificate == Certificate::OtherName { "other.example" } else { HOST };
    let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if certificate == Certificate::Expired {
        leaf.not_before = date_time_ymd(2001, 1, 1);
        leaf.not_after = date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let leaf = if certificate == Certificate::SelfSigned {
        leaf.self_signed(&key).unwrap()
    } else {
        leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap()
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(ca_certificate.der().clone()).unwrap();
    (config, roots)
}

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) injected: Mutex<Vec<String>>,
    pub(crate) echoed: Mutex<Vec<String>>,
    pub(crate) refused: Mutex<Vec<(u16, &'static str)>>,
}

impl CredentialLog for Told {
    fn injected(&self, _passage: &Passage, credential: &str) {
        self.injected.lock().unwrap().push(credential.to_owned());
    }

    fn echoed(&self, _passage: &Passage, credential: &str) {
        self.echoed.lock().unwrap().push(credential.to_owned());
    }

    fn refused(&self, _passage: &Passage, status: u16, reason: &'static str) {
        self.refused.lock().unwrap().push((status, reason));
    }
}

pub(crate) struct World {
    pub(crate) fixture: Fixture,
    pub(crate) upstream: Upstream,
    pub(crate) told: Arc<Told>,
    pub(crate) credentials: watch::Sender<Arc<CredentialSet>>,
    authority: Arc<Authority>,
}

pub(crate) fn bearer() -> InjectionPlace {
    InjectionPlace::Header { name: "Authorization".to_owned(), template: "Bearer {}".to_owned() }
}

pub(crate) fn rule(port: u16, path: &str, place: InjectionPlace) -> InjectionRule {
    InjectionRule { host: HOST.to_owned(), port, methods: Vec::new(), path: path.to_owned(), place }
}

pub(crate) fn credential(rules: Vec<InjectionRule>) -> Credential {
    Credential {
        name: "model".to_owned(),
        secret: Some(SECRET.to_owned().into()),
        placeholder: PLACEHOLDER.to_owned(),
        rules,
        renewal: None,
    }
}

impl World {
    /// A credential for `/v1` of the upstream.
    pub(crate) async fn new(upstream: Upstream) -> Self {
        let rules = vec![rule(upstream.address().port(), "/v1", bearer())];
        Self::with(upstream, rules).await
    }

    pub(crate) async fn with(upstream: Upstream, rules: Vec<InjectionRule>) -> Self {
        let set = Arc::new(CredentialSet::new(vec![credential(rules)]));
        Self::renewing(upstream, watch::Sender::new(set), None).await
    }

    pub(crate) async fn renewing(
        upstream: Upstream,
        credentials: watch::Sender<Arc<CredentialSet>>,
        renewer: Option<Arc<dyn CredentialRenewer>>,
    ) -> Self {
        let key = Authority::generate_key().unwrap();
        let authority = Arc::new(Authority::new("sb_test", &key).unwrap());
        let told = Arc::new(Told::default());
        let interception = Interception {
            authority: Arc::clone(&authority),
            credentials: credentials.subscribe(),
            outside: outside(upstream.roots.clone()).unwrap(),
            log: Arc::clone(&told) as Arc<dyn CredentialLog>,
            renewer,
        };
        let policy = policy_for(HOST, upstream.address());
        let fixture = Fixture::with(policy, EgressLimits::default(), |proxy| {
            proxy.with_interception(interception)
        })
        .await;
        fixture.names.answer(HOST, &[&["127.0.0.1"]]);
        Self { fixture, upstream, told, credentials, authority }
    }

    pub(crate) fn target(&self) -> String {
        format!("{HOST}:{}", self.upstream.address().port())
    }

    /// A connection to the upstream, as a program inside makes it.
    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_as(HOST).await.unwrap()
    }

    pub(crate) async fn connect_as(&self, sni: &str) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_with(sni, self.roots_inside()).await
    }

    /// Whom the programs inside trust.
    pub(crate) fn roots_inside(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(self.authority.certificate().as_bytes());
        roots.add(certificate.unwrap()).unwrap();
        roots
    }

    pub(crate) async fn connect_with(
        &self,
        sni: &str,
        roots: RootCertStore,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        self.connect_to(&self.target(), (sni, Arc::new(speaking(roots)))).await
    }

    /// A connection to any target, by a program that speaks as it likes.
    pub(crate) async fn connect_to(
        &self,
        target: &str,
        (sni, config): (&str, Arc<ClientConfig>),
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let (stream, head) = self.fixture.tunnel(target).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let name = ServerName::try_from(sni.to_owned()).unwrap();
        timeout(SOON, TlsConnector::from(config).connect(name, stream)).await.unwrap()
    }

    /// Sends one request, and returns everything that comes back until the connection ends.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        read_all(&mut stream).await
    }

    /// `GET` of a path, with these headers more.
    pub(crate) async fn fetch(&self, path: &str, headers: &str) -> String {
        let target = self.target();
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n{headers}\r\n"
        ))
        .await
    }
}

/// How a program speaks that trusts `roots`.
pub(crate) fn speaking(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

pub(crate) async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A close without a farewell of TLS is an end as well.
    drop(timeout(SOON, stream.read_to_end(&mut bytes)).await.unwrap());
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match timeout(SOON, stream.read_u8()).await.unwrap() {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// Answers every request of a connection with its head, as the body.
pub(crate) async fn mirror(mut stream: Incoming) {
    loop {
        let head = head(&mut stream).await;
        if head.is_empty() {
            return;
        }
        answer(&mut stream, "X-Kept: 1\r\n", head.as_bytes()).await;
    }
}

pub(crate) async fn answer(stream: &mut (impl AsyncWrite + Unpin), headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    let whole = [head.as_bytes(), body].concat();
    // Whoever asked may have gone.
    drop(stream.write_all(&whole).await);
    drop(stream.flush().await);
}

/// An upstream that remembers the heads that it got.
pub(crate) async fn remembering() -> (Upstream, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    let upstream = Upstream::new(Certificate::Good, move |mut stream| {
        let kept = Arc::clone(&kept);
        async move {
            loop {
                let head = head(&mut stream).await;
                if head.is_empty() {
                    return;
                }
                kept.lock().unwrap().push(head);
                answer(&mut stream, "", b"fine").await;
            }
        }
    })
    .await;
    (upstream, heads)
}
