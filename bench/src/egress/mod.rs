//! The way out: the same server, directly, through an opaque tunnel, and through one that is ended to put a credential in.
//!
//! The proxy is the product's, with real sockets and real TLS, in a process of its own; client and server are here. What a
//! sandbox adds, which is that the listener is in another network namespace, is not in it.

mod client;
mod proxy;
mod upstream;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(crate) use self::proxy::{ROLE, be};
use self::{
    client::{Client, WAYS, Way},
    proxy::Proxy,
    upstream::Upstream,
};
use crate::{
    Result,
    table::{Samples, Table},
};

/// A host that no credential is bound to, and one that has one.
const OPAQUE: &str = "opaque.example";
const INTERCEPTED: &str = "api.example";
const SECRET: &str = "sk-real-5Jq8/ZxT+mN2vB7wR4cY";
/// Of the web, because only of that the first message of a tunnel is looked at; on an address of the loopback that is
/// nobody's.
const PORT: u16 = 443;
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 83, 66, 1));
const STREAM_BYTES: usize = 512 << 20;
/// Streams are long.
const STREAMS_MAX: usize = 9;
/// As many as one sandbox may have.
const TUNNELS: u32 = 256;

/// Measures everything about the proxy.
pub(crate) fn measure(rounds: usize, table: &mut Table) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let upstream = runtime.block_on(Upstream::start(SocketAddr::new(ADDRESS, PORT)))?;
    let start = || Proxy::start(upstream.address.ip(), &upstream.root);
    let proxy = start()?;
    let client = Client::new(&upstream, &proxy)?;
    runtime.block_on(connections(&client, rounds, table))?;
    runtime.block_on(first_bytes(&client, rounds, table))?;
    runtime.block_on(streams(&client, rounds.min(STREAMS_MAX), table))?;
    for way in [Way::Opaque, Way::Intercepted] {
        // Nothing was freed in it that could be used again.
        let proxy = start()?;
        let client = Client::new(&upstream, &proxy)?;
        let kib = runtime.block_on(idle(&client, way, &proxy))?;
        let per = format!("{:.1} MiB, {} KiB each", kib as f64 / 1024.0, kib / u64::from(TUNNELS));
        table.note(&format!("memory of {TUNNELS} idle tunnels, {}", way.name()), &per);
    }
    Ok(())
}

/// A new connection of TLS and one small answer.
async fn connections(client: &Client, rounds: usize, table: &mut Table) -> Result<()> {
    let mut whole: [Samples; 3] = Default::default();
    let mut resumed: [Samples; 3] = Default::default();
    for round in 0..rounds + 5 {
        for (way, (whole, resumed)) in WAYS.into_iter().zip(whole.iter_mut().zip(&mut resumed)) {
            let new = client.small(way, &client.fresh()).await?;
            let again = client.small(way, client.known(way)).await?;
            // The first ones fill caches.
            if round >= 5 {
                whole.add(new);
                resumed.add(again);
            }
        }
    }
    for (name, samples) in [("new", &whole), ("resumed", &resumed)] {
        for (way, of) in WAYS.into_iter().zip(samples) {
            let direct = (way != Way::Direct).then_some(("direct", &samples[0]));
            table.add(&format!("{name} TLS connection and an answer, {}", way.name()), of, direct);
            if way != Way::Direct {
                over(of, &samples[0], table);
            }
        }
    }
    Ok(())
}

/// From the request to the first byte of the first event, on a connection that is there.
async fn first_bytes(client: &Client, rounds: usize, table: &mut Table) -> Result<()> {
    let mut samples: [Samples; 3] = Default::default();
    let mut connections = Vec::new();
    for way in WAYS {
        connections.push(client.connect(way, &client.fresh()).await?);
    }
    for _ in 0..rounds {
        for (connection, samples) in connections.iter_mut().zip(&mut samples) {
            samples.add(client::first_byte(connection).await?);
        }
    }
    for (way, of) in WAYS.into_iter().zip(&samples) {
        let direct = (way != Way::Direct).then_some(("direct", &samples[0]));
        table.add(&format!("first byte of an event stream, {}", way.name()), of, direct);
        if way != Way::Direct {
            over(of, &samples[0], table);
        }
    }
    Ok(())
}

async fn streams(client: &Client, rounds: usize, table: &mut Table) -> Result<()> {
    let mut samples: [Samples; 3] = Default::default();
    for _ in 0..rounds {
        for (way, samples) in WAYS.into_iter().zip(&mut samples) {
            let mut connection = client.connect(way, &client.fresh()).await?;
            samples.add(client::much(&mut connection).await?);
        }
    }
    for (way, of) in WAYS.into_iter().zip(&samples) {
        let gigabits = STREAM_BYTES as f64 * 8.0 / 1e6 / of.percentile(50);
        table.note(&format!("a stream, {}", way.name()), &format!("{gigabits:.2} Gbit/s"));
    }
    Ok(())
}

/// What as many tunnels as one sandbox may have take, after an answer each.
async fn idle(client: &Client, way: Way, proxy: &Proxy) -> Result<u64> {
    // What is made once is not theirs.
    client.small(way, &client.fresh()).await?;
    client::settled(proxy).await?;
    let before = proxy.own_kib()?;
    let mut held = Vec::new();
    for _ in 0..TUNNELS {
        let mut connection = client.connect(way, &client.fresh()).await?;
        client::ask(&mut connection).await?;
        held.push(connection);
    }
    Ok(proxy.own_kib()?.saturating_sub(before))
}

fn over(of: &Samples, direct: &Samples, table: &mut Table) {
    let over = |percent| of.percentile(percent) - direct.percentile(percent);
    table.note("  over direct: p50, p99", &format!("{:.3} ms, {:.3} ms", over(50), over(99)));
}
