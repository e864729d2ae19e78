//! Whether a request that a browser may have sent is to be answered: the rules that every HTTP server of
//! this program holds, in plain texts.
//!
//! A page elsewhere must not be able to use a browser inside the network, or its session: DNS
//! rebinding is stopped by `Host`, cross-site requests by `Sec-Fetch-Site` and `Origin`. Clients that are no
//! browsers send neither of the two, and pass.

use std::net::IpAddr;

/// Where answers of the API lie, which are no pages.
const ANSWERS: [&str; 2] = ["/v1/", "/dicom-web/"];
/// Where signing in with a provider begins and ends: links and providers lead there.
const SIGN_IN: [&str; 2] = ["/v1/oidc/start", "/v1/oidc/callback"];

/// Whether `host`, the value of a `Host` header, is the name of this server: localhost, any IP address, or one
/// of `names`, compared without regard to case. An address cannot be rebound; a name can.
pub fn is_own_host(host: &str, names: &[String]) -> bool {
    let name = without_port(host);
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// Whether a request that changes something comes from a page of this server, or from no page at all: `origin`
/// and `sec_fetch_site` are the headers of these names, where they were sent.
pub fn is_from_own_page(host: &str, origin: Option<&str>, sec_fetch_site: Option<&str>) -> bool {
    let same_site = matches!(sec_fetch_site, None | Some("same-origin" | "none"));
    let same_origin = origin.is_none_or(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    });
    same_site && same_origin
}

/// Whether a request that only reads may be answered: one of an own page or of none, or one that leads a whole window
/// to a page, as a link does. `path` is decoded. Nothing leads to the API but a provider, which sends people back from
/// signing in: it would be read in the name of whoever is at this machine. Other pages have no use of anything that is
/// served (but for viewers that the api's settings list), and what they ask for in a browser's name must not count as what its user saw, nor tell by its time or its failure what is there. `mode` and `dest` are
/// `Sec-Fetch-Mode` and `Sec-Fetch-Dest` (W3C Fetch Metadata).
pub fn may_read(
    host: &str,
    path: &str,
    origin: Option<&str>,
    sec_fetch_site: Option<&str>,
    mode: Option<&str>,
    dest: Option<&str>,
) -> bool {
    let is_answer = ANSWERS.iter().any(|place| path.starts_with(place));
    let is_page = !is_answer || SIGN_IN.contains(&path);
    let leads_here = is_page && mode == Some("navigate") && dest == Some("document");
    leads_here || is_from_own_page(host, origin, sec_fetch_site)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_and_ip_addresses_are_answered() {
        let names = ["xray.example".to_owned()];
        for own in ["localhost:8080", "127.0.0.1", "[::1]:80", "10.0.0.7:1", "XRAY.example:443"] {
            assert!(is_own_host(own, &names), "{own}");
        }
        for foreign in ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80"] {
            assert!(!is_own_host(foreign, &names), "{foreign}");
        }
    }

    #[test]
    fn a_request_that_changes_something_must_come_from_the_own_page_or_from_none() {
        let passes = |origin, site| is_from_own_page("localhost:1", origin, site);
        assert!(passes(None, None));
        assert!(passes(None, Some("none")));
        assert!(passes(Some("http://localhost:1"), Some("same-origin")));
        assert!(!passes(Some("http://localhost:2"), None));
        assert!(!passes(Some("null"), None));
        assert!(!passes(None, Some("cross-site")));
        assert!(!passes(None, Some("same-site")));
        // What is no text is as foreign as an empty one.
        assert!(!passes(Some(""), None));
        assert!(!passes(None, Some("")));
    }

    #[test]
    fn a_page_elsewhere_may_link_here_and_read_nothing() {
        let reads =
            |origin, site, mode, dest| may_read("localhost:1", "/", origin, site, mode, dest);
        assert!(reads(None, None, None, None), "no browser");
        assert!(reads(None, Some("none"), Some("navigate"), Some("document")));
        assert!(reads(None, Some("same-origin"), Some("cors"), Some("empty")));
        for site in ["same-site", "cross-site"] {
            assert!(reads(None, Some(site), Some("navigate"), Some("document")), "a link");
            assert!(!reads(None, Some(site), Some("navigate"), Some("iframe")));
            assert!(!reads(None, Some(site), Some("no-cors"), Some("image")));
            assert!(!reads(None, Some(site), None, None));
        }
        let leads = |path| {
            may_read(
                "localhost:1",
                path,
                None,
                Some("cross-site"),
                Some("navigate"),
                Some("document"),
            )
        };
        for page in ["/", "/docs", "/v1/oidc/start", "/v1/oidc/callback"] {
            assert!(leads(page), "{page}");
        }
        for answer in [
            "/v1/images",
            "/v1/session",
            "/v1/oidc/",
            "/v1/oidc/start/",
            "/dicom-web/studies",
            "/dicom-web/studies/1.2.3/metadata",
        ] {
            assert!(!leads(answer), "{answer}");
        }
        // Over plain HTTP under a name, browsers say no more than the origin.
        assert!(!reads(Some("http://localhost:2"), None, None, None));
        assert!(reads(Some("http://localhost:1"), None, None, None));
    }
}
