//! Parsers: the text of a file or a program in, facts out. They judge nothing, and no text makes them panic; what they do not
//! know they leave out.

pub(super) mod bonding;
pub(super) mod clock;
pub(crate) mod crm_mon;
pub(crate) mod drbd;
pub(crate) mod fencing;
pub(super) mod ipmi;
pub(super) mod lldp;
pub(super) mod mdstat;
pub(super) mod network;
pub(super) mod quorum;
pub(super) mod rings;
pub(super) mod ssacli;
pub(super) mod storcli;

/// `Key: value` or `key = value` of a line, without blanks around them.
fn pair(line: &str, separator: char) -> Option<(&str, &str)> {
    line.split_once(separator).map(|(key, value)| (key.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recorded samples, cut at every place and with bytes exchanged: parsers give facts or none, and never panic.
    #[test]
    fn malformed_text_never_panics() {
        let samples = [
            include_str!("../../../fixtures/check/bonding/802.3ad.no-partner.txt"),
            include_str!("../../../fixtures/check/mdraid/mdstat.degraded.txt"),
            include_str!("../../../fixtures/check/drbd/drbdadm-status+events2.txt"),
            include_str!("../../../fixtures/check/drbd/proc-drbd.8.4.primary.txt"),
            include_str!("../../../fixtures/check/ipmi/sdr_elist.txt"),
            include_str!("../../../fixtures/check/hwraid/storcli_call_show_all.degraded.json"),
            include_str!("../../../fixtures/check/hwraid/ssacli_ctrl_all_show_status.battery-failed.txt"),
            include_str!("../../../fixtures/check/hwraid/ssacli_ld_all_show_status.degraded.txt"),
            include_str!("../../../fixtures/check/pacemaker/corosync-cfgtool.txt"),
            include_str!("../../../fixtures/check/pacemaker/corosync-quorumtool.txt"),
            include_str!("../../../fixtures/check/pacemaker/stonith_admin-history.txt"),
            include_str!("../../../fixtures/check/lldp/lldpctl.keyvalue.txt"),
            include_str!("../../../fixtures/check/clock/chronyc-tracking.csv"),
            include_str!("../../../fixtures/check/network/ping.txt"),
        ];
        for sample in samples {
            for cut in (0..sample.len()).filter(|at| sample.is_char_boundary(*at)) {
                all(&sample[..cut]);
                all(&format!("{}\u{0}:=ü[/{}", &sample[..cut], &sample[cut..]));
            }
        }
        let xml = include_str!("../../../fixtures/check/pacemaker/crm_mon.one-node-fenced.xml");
        // Its parser is slower and the text long.
        for cut in (0..xml.len()).step_by(37).filter(|at| xml.is_char_boundary(*at)) {
            all(&xml[..cut]);
        }
    }

    fn all(text: &str) {
        bonding::parse(text);
        let _ = clock::parse_chrony(text);
        clock::parse_timedatectl(text);
        let _ = crm_mon::parse(text);
        drbd::parse_proc(text);
        drbd::parse_status(text);
        fencing::parse_history(text);
        ipmi::parse(text);
        lldp::parse(text);
        mdstat::parse(text);
        let _ = network::parse_ping(text);
        network::parse_route(text);
        quorum::parse(text);
        rings::parse(text);
        ssacli::parse_controllers(text);
        ssacli::parse_drives(text);
        let _ = storcli::parse(text);
    }
}
