//! Which ports of the sandbox somebody listens on.

use std::{
    fs::File,
    io::{self, Read},
};

/// LIMIT: bytes read of each table. The kernel lists those that listen first (proc_net(5)).
const TABLE_BYTES_MAX: u64 = 64 << 10;
/// `TCP_LISTEN` of linux/tcp_states.h, as the tables write it.
const LISTENING: &str = "0A";

/// Returns them, sorted; none where the kernel's tables cannot be read.
pub(crate) fn listening() -> Vec<u16> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| table(path).unwrap_or_default());
    let mut ports: Vec<u16> =
        tables.iter().flat_map(|table| table.lines().filter_map(port)).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn table(path: &str) -> io::Result<String> {
    let mut table = String::new();
    File::open(path)?.take(TABLE_BYTES_MAX).read_to_string(&mut table)?;
    Ok(table)
}

/// The port of a line, when somebody listens on it.
fn port(line: &str) -> Option<u16> {
    let mut fields = line.split_whitespace().skip(1);
    let (local, _remote, state) = (fields.next()?, fields.next()?, fields.next()?);
    let (address, port) = local.rsplit_once(':')?;
    let is_there = state == LISTENING && !is_stand_in(address);
    u16::from_str_radix(port, 16).ok().filter(|_| is_there)
}

/// Whether it is one of `127.64.0.0/10`, where the egress proxy stands in for hosts. The tables have addresses as the
/// machine keeps them.
fn is_stand_in(address: &str) -> bool {
    address.len() == 8
        && u32::from_str_radix(address, 16)
            .is_ok_and(|bits| matches!(bits.to_ne_bytes(), [127, 64..=127, ..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_listen_are_named() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
            \x20  0: 0100007F:1435 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000\n\
            \x20  1: 0100007F:0BB8 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000\n\
            \x20  2: 00000000000000000000000001000000:0BB9 00000000000000000000000000000000:0000 0A 0\n\
            \x20  3: 0100407F:01BB 00000000:0000 0A 0\n\
            torn 0100007F:";
        assert_eq!(table.lines().filter_map(port).collect::<Vec<_>>(), [5173, 3001]);
    }
}
