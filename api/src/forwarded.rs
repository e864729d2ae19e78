//! What proxies say of where a request came from: `Forwarded` (RFC 7239) and the older `X-Forwarded-*`.
//!
//! Only read here; whom to believe is [`crate::peer`]'s part.

use std::net::IpAddr;

use actix_web::http::header::HeaderMap;

/// What one proxy said of the request that it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop {
    /// Who had connected to it; `None` where it does not tell (`unknown`, an obfuscated name).
    pub(crate) address: Option<IpAddr>,
    /// Whether by TLS.
    pub(crate) secure: Option<bool>,
    /// The host that was asked for, with its port.
    pub(crate) host: Option<String>,
}

/// A header that is not what its standard says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// The hops of `Forwarded`, the nearest proxy's last; `None` without the header.
pub(crate) fn standard(headers: &HeaderMap) -> Result<Option<Vec<Hop>>, Malformed> {
    let Some(text) = joined(headers, "forwarded")? else { return Ok(None) };
    let malformed = || Malformed("forwarded");
    let mut hops = Vec::new();
    for element in split(&text, ',').ok_or_else(malformed)? {
        let mut hop = Hop::default();
        for pair in split(element, ';').ok_or_else(malformed)? {
            let (name, value) = pair.split_once('=').ok_or_else(malformed)?;
            let value = unquoted(value).ok_or_else(malformed)?;
            match name.to_ascii_lowercase().as_str() {
                "for" => hop.address = node(&value),
                "proto" => hop.secure = Some(value.eq_ignore_ascii_case("https")),
                "host" => hop.host = Some(value),
                _ => {} // `by`, and what others may add
            }
        }
        hops.push(hop);
    }
    Ok((!hops.is_empty()).then_some(hops))
}

/// The hops of `X-Forwarded-For` with `-Proto` and `-Host`, the nearest proxy's last; `None` without the first.
///
/// Proxies either add to these lists or set one value, so they are read from the right, and a single value of `-Proto`
/// or `-Host` stands for every hop.
pub(crate) fn customary(headers: &HeaderMap) -> Result<Option<Vec<Hop>>, Malformed> {
    let Some(addresses) = list(headers, "x-forwarded-for")? else { return Ok(None) };
    let protocols = list(headers, "x-forwarded-proto")?.unwrap_or_default();
    let hosts = list(headers, "x-forwarded-host")?.unwrap_or_default();
    let count = addresses.len();
    let hop = |(index, address): (usize, &String)| Hop {
        address: node(address),
        secure: aligned(&protocols, count - 1 - index).map(|it| it.eq_ignore_ascii_case("https")),
        host: aligned(&hosts, count - 1 - index).cloned(),
    };
    Ok(Some(addresses.iter().enumerate().map(hop).collect()))
}

/// The value as many places from the right, or the leftmost.
fn aligned(values: &[String], from_right: usize) -> Option<&String> {
    values.get(values.len().saturating_sub(1 + from_right))
}

fn list(headers: &HeaderMap, name: &'static str) -> Result<Option<Vec<String>>, Malformed> {
    let Some(text) = joined(headers, name)? else { return Ok(None) };
    let values: Vec<_> = text.split(',').map(str::trim).filter(|value| !value.is_empty()).collect();
    Ok((!values.is_empty()).then(|| values.into_iter().map(str::to_owned).collect()))
}

/// All lines of a header as one (RFC 9110, 5.3).
fn joined(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Malformed> {
    let lines: Result<Vec<_>, _> = headers.get_all(name).map(|value| value.to_str()).collect();
    let lines = lines.map_err(|_| Malformed(name))?;
    Ok((!lines.is_empty()).then(|| lines.join(",")))
}

/// The parts between separators that stand outside of quotes, without empty ones; `None` for a quote that stays open.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == separator && !quoted => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!quoted).then(|| parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect())
}

/// A token as it is, or a quoted string's text (RFC 9110, 5.6.4).
fn unquoted(value: &str) -> Option<String> {
    let Some(rest) = value.strip_prefix('"') else {
        return (!value.is_empty() && !value.contains('"')).then(|| value.to_owned());
    };
    let inner = rest.strip_suffix('"')?;
    let (mut text, mut escaped) = (String::new(), false);
    for c in inner.chars() {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return None,
            _ => {
                text.push(c);
                escaped = false;
            }
        }
    }
    (!escaped).then_some(text)
}

/// The address of a node: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn node(text: &str) -> Option<IpAddr> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None if text.matches(':').count() == 1 => text.split_once(':')?.0,
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_str(value).expect("a value");
            headers.append(HeaderName::from_static(name), value);
        }
        headers
    }

    fn hop(address: &str, secure: Option<bool>, host: Option<&str>) -> Hop {
        Hop { address: address.parse().ok(), secure, host: host.map(str::to_owned) }
    }

    #[test]
    fn the_examples_of_rfc_7239_are_read() {
        let read = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
            standard(&headers(&lines)).expect("well formed").expect("there")
        };
        assert_eq!(read(&["for=\"_gazonk\""]), [hop("", None, None)]);
        assert_eq!(
            read(&["For=\"[2001:db8:cafe::17]:4711\""]),
            [hop("2001:db8:cafe::17", None, None)]
        );
        assert_eq!(
            read(&["for=192.0.2.60;proto=http;by=203.0.113.43"]),
            [hop("192.0.2.60", Some(false), None)]
        );
        let two = [hop("192.0.2.43", None, None), hop("198.51.100.17", None, None)];
        assert_eq!(read(&["for=192.0.2.43, for=198.51.100.17"]), two);
        assert_eq!(read(&["for=192.0.2.43", "for=198.51.100.17"]), two);
        assert_eq!(
            read(&["for=192.0.2.1;host=\"a.example:8443\";PROTO=https, for=unknown"]),
            [hop("192.0.2.1", Some(true), Some("a.example:8443")), hop("", None, None)]
        );
    }

    #[test]
    fn separators_within_quotes_separate_nothing_and_what_is_malformed_is_told() {
        let read = |line: &str| standard(&headers(&[("forwarded", line)]));
        let hops = read(r#"for="a,b;c\",d", for=192.0.2.1"#).expect("well formed");
        assert_eq!(hops, Some(vec![hop("", None, None), hop("192.0.2.1", None, None)]));
        for line in [r#"for=""#, r#"for="a, for=192.0.2.1"#, "for", "for=", r#"for=a"b"#, "é"] {
            assert_eq!(read(line), Err(Malformed("forwarded")), "{line}");
        }
        assert_eq!(read(" , "), Ok(None));
        assert_eq!(standard(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn customary_lists_are_read_from_the_right_and_one_value_stands_for_all() {
        let read = |lines: &[(&'static str, &str)]| {
            customary(&headers(lines)).expect("well formed").expect("there")
        };
        let both = ("x-forwarded-for", "192.0.2.1, ::ffff:10.0.0.1");
        assert_eq!(
            read(&[both, ("x-forwarded-proto", "https"), ("x-forwarded-host", "a.example")]),
            [
                hop("192.0.2.1", Some(true), Some("a.example")),
                hop("10.0.0.1", Some(true), Some("a.example")),
            ]
        );
        // A client that sends a value of its own before the proxy adds its.
        let one = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https, http")];
        assert_eq!(read(&one), [hop("192.0.2.1", Some(false), None)]);
        let ports = read(&[("x-forwarded-for", "192.0.2.1:99, [2001:db8::1]:9, 2001:db8::1, x")]);
        let addresses: Vec<_> = ports.into_iter().map(|hop| hop.address).collect();
        let v6 = "2001:db8::1".parse().ok();
        assert_eq!(addresses, ["192.0.2.1".parse().ok(), v6, v6, None]);
        assert_eq!(customary(&headers(&[("x-forwarded-proto", "https")])), Ok(None));
    }
}
