//! Who may come, and to which site what they send belongs.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use lobar_core::access::SiteName;
use lobar_core::image::Lane;

use crate::{AeTitle, Fingerprint};

/// An application entity that may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its title.
    pub title: AeTitle,
    /// Where it comes from.
    pub hosts: Vec<IpNet>,
    /// Certificates of which it has to show one; none: it needs none, and whatever it shows is named in no entry.
    pub certificates: BTreeSet<Fingerprint>,
    /// To which site what it sends belongs. It may write there, and nowhere else, and reads nothing.
    pub site: SiteName,
    /// How urgent what it sends is.
    pub lane: Lane,
    /// Whether it may store; if not, it may only ask whether Lobar is there.
    pub may_store: bool,
    /// Where it listens: for reports on storage commitment, and for `lobar doctor`.
    pub address: Option<HostPort>,
    /// Whether it is called by TLS there. It has to show a certificate of the authority of the settings: one of
    /// [`Peer::certificates`] where there are any, else one for the host of its address.
    pub by_tls: bool,
}

impl Peer {
    /// Whether one sender could be either.
    fn overlaps(&self, other: &Self) -> bool {
        let meet = |one: &IpNet| other.hosts.iter().any(|it| it.contains(one) || one.contains(it));
        let share = match (self.certificates.is_empty(), other.certificates.is_empty()) {
            (true, true) => true,
            (false, false) => !self.certificates.is_disjoint(&other.certificates),
            // A certificate that is named is good for no entry without.
            _ => false,
        };
        self.title == other.title && share && self.hosts.iter().any(meet)
    }
}

/// Where an association comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The address of the other side.
    pub address: IpAddr,
    /// The certificate that it has shown, which an authority of the settings signed.
    pub certificate: Option<Fingerprint>,
}

/// A host and a port: `10.0.0.9:104`, `[fd00::9]:104`, `cr1.example:104`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort(String);

impl HostPort {
    /// As text, in which form `tokio` connects to it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or(self.0.as_str(), |(host, _)| host);
        host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host)
    }
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let is_host = |host: &str| match host.strip_prefix('[').and_then(|it| it.strip_suffix(']'))
        {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                let named = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
                !host.is_empty() && host.bytes().all(named)
            }
        };
        match parts {
            Some((host, 1_u16..)) if is_host(host) => Ok(Self(text.to_owned())),
            _ => Err(format!("{text:?} is no HOST:PORT")),
        }
    }
}

/// The list of those that may come. Empty: whoever comes from this machine itself, of site `local`.
///
/// Written `AE=HOST,… site=NAME [lane=stat] [store=off] [address=HOST:PORT] [tls=on] [cert=SHA256,…]; …`; a host is an address or a
/// network. No two entries fit the same sender.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers(Vec<Peer>);

impl Peers {
    /// The site of what is sent from this machine itself while there is no list.
    pub const LOCAL_SITE: &str = "local";

    /// Whether there is no list.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All on the list.
    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.0.iter()
    }

    /// Whether an entry names certificates.
    pub fn name_certificates(&self) -> bool {
        self.0.iter().any(|peer| !peer.certificates.is_empty())
    }

    /// Whether an entry is called by TLS.
    pub fn are_called_by_tls(&self) -> bool {
        self.0.iter().any(|peer| peer.by_tls)
    }

    /// Who comes under this title from there, if they may. A certificate that is named somewhere is good only for the entries
    /// that name it.
    pub fn find(&self, title: &AeTitle, origin: Origin) -> Option<Peer> {
        let from = origin.address.to_canonical();
        if self.0.is_empty() {
            let site = SiteName::parse(Self::LOCAL_SITE)?;
            let local = || Peer {
                title: title.clone(),
                hosts: Vec::new(),
                certificates: BTreeSet::new(),
                site,
                lane: Lane::Routine,
                may_store: true,
                address: None,
                by_tls: false,
            };
            return from.is_loopback().then(local);
        }
        let is_named = |one: &Fingerprint| self.0.iter().any(|it| it.certificates.contains(one));
        let named = origin.certificate.filter(is_named);
        let is_proven = |peer: &Peer| match &named {
            Some(certificate) => peer.certificates.contains(certificate),
            None => peer.certificates.is_empty(),
        };
        let is_they = |peer: &&Peer| {
            let is_there = peer.hosts.iter().any(|hosts| hosts.contains(&from));
            peer.title == *title && is_there && is_proven(peer)
        };
        self.0.iter().find(is_they).cloned()
    }
}

impl FromStr for Peers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries = text.split(';').map(str::trim).filter(|entry| !entry.is_empty());
        let peers: Vec<Peer> = entries.map(peer).collect::<Result<_, _>>()?;
        for (at, one) in peers.iter().enumerate() {
            if peers[..at].iter().any(|before| before.overlaps(one)) {
                return Err(format!(
                    "{}: two entries fit the same sender; give them hosts (or certificates) of which none is in both",
                    one.title
                ));
            }
        }
        Ok(Self(peers))
    }
}

fn peer(entry: &str) -> Result<Peer, String> {
    let form = "an entry is AE=HOST,… site=NAME [lane=stat] [store=off] [address=HOST:PORT] [tls=on] [cert=SHA256,…]";
    let (title, rest) = entry.split_once('=').ok_or_else(|| format!("{entry:?}: {form}"))?;
    let title: AeTitle = title.parse().map_err(|why| format!("{title:?}: {why}"))?;
    let mut words = rest.split_whitespace();
    let hosts = words.next().unwrap_or_default().split(',').filter(|host| !host.is_empty());
    let hosts: Vec<IpNet> = hosts.map(|it| network(it, &title)).collect::<Result<_, _>>()?;
    if hosts.is_empty() {
        return Err(format!("{title}: no host; {form}"));
    }
    let (mut site, mut lane, mut may_store, mut address) = (None, Lane::Routine, true, None);
    let (mut certificates, mut seen, mut by_tls) = (BTreeSet::new(), BTreeSet::new(), false);
    for word in words {
        let parts = word.split_once('=');
        if !parts.is_none_or(|(name, _)| seen.insert(name)) {
            return Err(format!("{title}: {word:?}: that word stands twice; {form}"));
        }
        match parts {
            Some(("site", name)) => {
                let name = name.parse::<SiteName>().map_err(|why| format!("{title}: {why}"))?;
                site = Some(name);
            }
            Some(("lane", "stat")) => lane = Lane::Stat,
            Some(("lane", "routine")) => lane = Lane::Routine,
            Some(("store", "on")) => may_store = true,
            Some(("store", "off")) => may_store = false,
            Some(("address", at)) => {
                address = Some(at.parse().map_err(|why| format!("{title}: {why}"))?);
            }
            Some(("tls", "on")) => by_tls = true,
            Some(("tls", "off")) => by_tls = false,
            Some(("cert", list)) => {
                let list = list.split(',').map(str::parse);
                certificates =
                    list.collect::<Result<_, String>>().map_err(|why| format!("{title}: {why}"))?;
            }
            _ => return Err(format!("{title}: {word:?} is not understood; {form}")),
        }
    }
    let site = site.ok_or_else(|| format!("{title}: no site; {form}"))?;
    if by_tls && address.is_none() {
        return Err(format!(
            "{title}: tls=on says how its address is called: add address=HOST:PORT"
        ));
    }
    Ok(Peer { title, hosts, certificates, site, lane, may_store, address, by_tls })
}

fn network(text: &str, title: &AeTitle) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(|one| IpNet::from(one.to_canonical()));
    let network = address.or_else(|_| text.parse::<IpNet>());
    network
        .map_err(|_| format!("{title}: {text:?} is no address and no network such as 10.0.0.0/8"))
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, peer) in self.0.iter().enumerate() {
            let hosts: Vec<String> = peer.hosts.iter().map(ToString::to_string).collect();
            let between = if index == 0 { "" } else { "; " };
            write!(f, "{between}{}={} site={}", peer.title, hosts.join(","), peer.site)?;
            if peer.lane == Lane::Stat {
                f.write_str(" lane=stat")?;
            }
            if !peer.may_store {
                f.write_str(" store=off")?;
            }
            if let Some(address) = &peer.address {
                write!(f, " address={}", address.as_str())?;
            }
            if peer.by_tls {
                f.write_str(" tls=on")?;
            }
            if !peer.certificates.is_empty() {
                let list: Vec<String> = peer.certificates.iter().map(ToString::to_string).collect();
                write!(f, " cert={}", list.join(","))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "CR1=10.0.0.5 site=north lane=stat address=10.0.0.5:104; \
                        OLD PACS=10.1.0.0/16,fd00::/8 site=south store=off; \
                        CR2=10.0.0.9 site=north address=[fd00::9]:2762 tls=on";

    fn find(peers: &Peers, title: &str, from: &str) -> Option<Peer> {
        find_with(peers, title, from, None)
    }

    fn find_with(peers: &Peers, title: &str, from: &str, shown: Option<&str>) -> Option<Peer> {
        let address = from.parse().expect("an address");
        let certificate = shown.map(|it| Fingerprint::of(it.as_bytes()));
        peers.find(&title.parse().expect("a title"), Origin { address, certificate })
    }

    fn fingerprint(of: &str) -> String {
        Fingerprint::of(of.as_bytes()).to_string()
    }

    #[test]
    fn a_certificate_that_is_named_is_good_only_where_it_is_named() {
        let [a, b, new] = ["a", "b", "new"].map(fingerprint);
        let list = format!(
            "A=10.0.0.5 site=north cert={a},{new}; B=10.0.0.5 site=south cert={b}; C=10.0.0.5 site=south"
        );
        let peers: Peers = list.parse().expect("a list");
        assert!(peers.name_certificates());
        let may = |title, shown| find_with(&peers, title, "10.0.0.5", shown).is_some();
        let shown = [Some("a"), Some("new"), Some("b"), Some("of nobody"), None];
        assert_eq!(shown.map(|it| may("A", it)), [true, true, false, false, false]);
        assert_eq!(shown.map(|it| may("B", it)), [false, false, true, false, false]);
        assert_eq!(shown.map(|it| may("C", it)), [false, false, false, true, true]);
        assert!(find_with(&peers, "A", "10.0.0.6", Some("a")).is_none(), "the host has to fit too");
    }

    #[test]
    fn entries_that_fit_the_same_sender_are_refused() {
        let [a, b] = ["a", "b"].map(fingerprint);
        let refused = |list: &str| list.parse::<Peers>().is_err();
        assert!(refused("A=10.0.0.0/8 site=north; B=10.0.0.5 site=north; A=10.0.0.5 site=south"));
        assert!(refused(
            "A=10.0.0.5,10.0.0.6 site=north; A=10.0.0.0/30 site=south; A=10.0.0.4/30 site=south"
        ));
        let certificates = |one: &str, other: &str| {
            format!("A=10.0.0.5 site=north cert={one}; A=10.0.0.0/8 site=south cert={other}")
        };
        assert!(refused(&certificates(&a, &format!("{b},{a}"))));
        assert!(!refused(&certificates(&a, &b)));
        assert!(!refused("A=10.0.0.5 site=north; A=10.0.0.6 site=south; B=10.0.0.5 site=south"));
    }

    #[test]
    fn a_fingerprint_is_read_as_openssl_prints_it() {
        let plain = fingerprint("a");
        let pairs: Vec<&str> = plain.as_bytes().chunks(2).flat_map(std::str::from_utf8).collect();
        let printed = pairs.join(":").to_uppercase();
        assert_eq!(printed.parse::<Fingerprint>(), plain.parse());
        let list = format!("A=10.0.0.5 site=north cert={printed}");
        let peers: Peers = list.parse().expect("a list");
        assert_eq!(peers.to_string().parse(), Ok(peers));
    }

    #[test]
    fn a_peer_is_who_comes_under_its_title_from_its_host() {
        let peers: Peers = LIST.parse().expect("a list");
        let room = find(&peers, "CR1", "10.0.0.5").expect("listed");
        assert_eq!((room.site.as_str(), room.lane, room.may_store), ("north", Lane::Stat, true));
        assert!(find(&peers, "CR1", "::ffff:10.0.0.5").is_some(), "the same address");
        assert!(find(&peers, "CR1", "10.0.0.6").is_none(), "another host");
        assert!(find(&peers, "CR3", "10.0.0.5").is_none(), "another title");
        assert!(find(&peers, "CR1", "127.0.0.1").is_none(), "with a list, only the list");
        assert!(!find(&peers, "OLD PACS", "fd00::7").expect("listed").may_store);
    }

    #[test]
    fn without_a_list_it_is_who_comes_from_this_machine() {
        let peers = Peers::default();
        assert_eq!(find(&peers, "ANY", "127.0.0.1").expect("local").site.as_str(), "local");
        assert!(find(&peers, "ANY", "10.0.0.5").is_none());
    }

    #[test]
    fn who_is_called_by_tls_has_an_address_whose_host_is_known() {
        let peers: Peers = LIST.parse().expect("a list");
        assert!(peers.are_called_by_tls());
        let called = find(&peers, "CR2", "10.0.0.9").expect("listed");
        assert_eq!((called.by_tls, called.address.expect("one").host()), (true, "fd00::9"));
        let room = find(&peers, "CR1", "10.0.0.5").expect("listed");
        assert_eq!((room.by_tls, room.address.expect("one").host()), (false, "10.0.0.5"));
    }

    #[test]
    fn a_list_is_written_so_that_it_reads_again() {
        let peers: Peers = LIST.parse().expect("a list");
        assert_eq!(peers.to_string().parse(), Ok(peers));
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_the_entry() {
        for (list, named) in [
            ("CR1", "CR1"),
            ("CR1=10.0.0.5", "no site"),
            ("CR1= site=north", "\"site=north\" is no address"),
            ("CR1=10.0.0.300 site=north", "10.0.0.300"),
            ("CR1=10.0.0.5 site=north lane=soon", "lane=soon"),
            ("CR1=10.0.0.5 site=../x", "site"),
            ("CR1=10.0.0.5 site=north address=10.0.0.5", "HOST:PORT"),
            ("CR1=10.0.0.5 site=north tls=on", "add address=HOST:PORT"),
            ("CR1=10.0.0.5 site=north tls=ca.pem", "tls=ca.pem"),
            ("CR1=10.0.0.5 site=north site=south", "twice"),
            ("CR1=10.0.0.5 site=north cert=", "64 hexadecimal digits"),
            ("CR1=10.0.0.5 site=north cert=abcd", "64 hexadecimal digits"),
            ("SEVENTEEN_LETTERS=10.0.0.5 site=north", "SEVENTEEN_LETTERS"),
        ] {
            let error = list.parse::<Peers>().expect_err("refused");
            assert!(error.contains(named), "{list}: {error}");
        }
    }
}
