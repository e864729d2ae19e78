//! Every route, with every role, at the own site, at another and at none: from the server's own table of routes, so that a
//! new one cannot be forgotten.

use lobar_api::{RouteRight, route_rights};
use lobar_core::access::{Grants, Right, Role};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::fixture::{Fixture, blank, ready};
use crate::patients::known;

/// Images at two sites and at an unknown one; the server has forgotten its local user.
struct Hospital {
    fixture: Fixture,
    north: String,
    south: String,
    nowhere: String,
}

impl Hospital {
    async fn open() -> Self {
        let fixture = Fixture::open().await;
        let keys = ["incoming/north/1.jpg", "incoming/south/1.jpg", "1.jpg"].map(str::to_owned);
        let ids = fixture.admit(keys).await;
        let patient = known("7", "1.2.3", "20260301");
        fixture.finish_known(&ids[..2], &ready(0.9), Some(&patient)).await;
        fixture.finish(&ids[2..], &blank()).await;
        fixture.person("somebody", "admin@*").await;
        let [north, south, nowhere] = [0, 1, 2].map(|n: usize| ids[n].to_string());
        Self { fixture, north, south, nowhere }
    }

    fn request(&self, route: &RouteRight, image: &str) -> RequestBuilder {
        let path = route.path.replace("{id}", image).replace("{version}", "9");
        let path = path.replace("{slug}", "internal").replace("{name}", "east");
        let path = path.replace("{study}", "1.2.3").replace("{series}", "1.2.3");
        let path = path.replace("{instance}", "1.2.3").replace("{frames}", "1");
        let path = path.replace("{path}", "7FE00010");
        let path = path.replace("{verdict}", "00000000-0000-4000-8000-000000000000");
        let method = Method::from_bytes(route.method.as_bytes()).expect("a method");
        self.fixture.http.request(method, self.fixture.url(&path))
    }
}

fn grants(text: &str) -> Grants {
    text.split_whitespace().map(|one| one.parse().expect("a grant")).collect()
}

/// Status and type of problem, if it is one.
async fn answer(request: RequestBuilder) -> (StatusCode, String) {
    let answer = request.send().await.expect("answers");
    let status = answer.status();
    // A stream never ends.
    if status.is_success() {
        return (status, String::new());
    }
    let problem: Value = answer.json().await.unwrap_or_default();
    (status, problem["type"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_refuses_whoever_lacks_its_right_and_no_one_else() {
    let hospital = Hospital::open().await;
    let mut tried = 0;
    for place in ["*", "north"] {
        for role in Role::ALL {
            let grant = format!("{role}@{place}");
            let token = hospital.fixture.token(&grant).await;
            for route in route_rights() {
                let request = hospital.request(&route, &hospital.north).bearer_auth(&token);
                let (status, problem) = answer(request).await;
                let refused = problem == "/problems/not-allowed";
                let may = route.right == Right::Open || grants(&grant).allow(route.right);
                assert_eq!(
                    refused, !may,
                    "{grant}: {} {}: {status} {problem}",
                    route.method, route.path
                );
                assert_ne!(
                    problem, "/problems/not-signed-in",
                    "{grant}: {} {}",
                    route.method, route.path
                );
                assert_eq!(status == 403, refused, "{grant}: {} {}", route.method, route.path);
                tried += 1;
            }
        }
    }
    assert!(tried > 12 * 40, "{tried}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_but_the_open_ones_refuses_whoever_did_not_sign_in() {
    let hospital = Hospital::open().await;
    let wrong = [
        ("authorization", "Bearer lobar_t_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("authorization", "Bearer "),
        ("authorization", "Basic YWRtaW46YWRtaW4="),
        ("cookie", "lobar_session=lobar_s_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("cookie", "lobar_session="),
        ("x-forwarded-user", "admin"),
    ];
    for route in route_rights() {
        let mut tries = vec![hospital.request(&route, &hospital.north)];
        tries
            .extend(wrong.map(|(name, value)| {
                hospital.request(&route, &hospital.north).header(name, value)
            }));
        for request in tries {
            let (status, problem) = answer(request).await;
            let refused = status == 401 && problem == "/problems/not-signed-in";
            assert_eq!(
                refused,
                route.right != Right::Open,
                "{} {}: {status}",
                route.method,
                route.path
            );
        }
    }
    let open: Vec<_> =
        route_rights().into_iter().filter(|route| route.right == Right::Open).collect();
    let of_data = |route: &&RouteRight| route.path.starts_with("/v1/");
    let of_data: Vec<_> =
        open.iter().filter(of_data).map(|route| (route.method, route.path)).collect();
    let expected = [
        ("POST", "/v1/session"),
        ("GET", "/v1/oidc"),
        ("GET", "/v1/oidc/start"),
        ("GET", "/v1/oidc/callback"),
        ("POST", "/v1/oidc/logout"),
        ("POST", "/v1/links"),
        ("POST", "/v1/links/redeem"),
    ];
    assert_eq!(of_data, expected, "signing in is all that is open of the API");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_of_another_site_is_as_unknown_as_one_that_does_not_exist() {
    let hospital = Hospital::open().await;
    let token = hospital.fixture.token("clinician@north").await;
    let everywhere = hospital.fixture.token("clinician@*").await;
    let nothing = "00000000-0000-4000-8000-000000000000";
    let of_image = |route: &RouteRight| route.path.starts_with("/v1/images/{id}");
    let mut compared = 0;
    // What erases comes last, when all else was looked at.
    let mut routes: Vec<_> = route_rights().into_iter().filter(of_image).collect();
    routes.sort_by_key(|route| route.right == Right::EraseImages);
    let clinicians = (token, everywhere);
    // Who erases does so at every site.
    let admins = (hospital.fixture.token("admin@*").await, hospital.fixture.token("admin@*").await);
    for route in routes {
        let erases = route.right == Right::EraseImages;
        let (token, everywhere) = if erases { &admins } else { &clinicians };
        let ask = async |image: &str, token: &str| {
            let body = match route.path {
                "/v1/images/{id}/opinion" => json!({ "label": "NORMAL" }),
                "/v1/images/{id}/patient" => json!({ "patient": { "id": "8" } }),
                "/v1/images/{id}/copies" => json!({ "to": "file" }),
                _ => {
                    json!({ "opinion": "disagree", "label": "NORMAL", "model_version": "test-1" })
                }
            };
            let request = hospital.request(&route, image).bearer_auth(token);
            let request = if route.method == "POST" { request.json(&body) } else { request };
            let request = if erases { request.query(&[("reason", "mistake")]) } else { request };
            let answer = request.send().await.expect("answers");
            let (status, headers) = (answer.status(), answer.headers().len());
            let mut problem: Value = answer.json().await.unwrap_or_default();
            problem["request_id"] = Value::Null;
            (status, headers, problem)
        };
        let unknown = ask(nothing, token).await;
        assert_eq!(unknown.0, 404, "{}", route.path);
        for other in [&hospital.south, &hospital.nowhere] {
            if !erases {
                assert_eq!(ask(other, token).await, unknown, "{} {}", route.method, route.path);
            }
            let (status, _, problem) = ask(other, everywhere).await;
            let shown = status.is_success()
                || other == &hospital.nowhere
                || route.path.ends_with("/picture")
                || route.path.ends_with("/pixels")
                || route.path.ends_with("/thumbnail")
                // A machine is asked for none.
                || (route.path.ends_with("/opinion") && status == 409)
                // The image is known, and no verdict of this id.
                || problem["type"] == "/problems/unknown-verdict";
            assert!(shown, "{} {}: {status}", route.method, route.path);
        }
        compared += 1;
    }
    assert_eq!(compared, 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_counts_are_of_the_caller_s_sites() {
    let hospital = Hospital::open().await;
    let list = async |grant: &str, query: &str| {
        let token = hospital.fixture.token(grant).await;
        let url = hospital.fixture.url(&format!("/v1/images{query}"));
        let answer =
            hospital.fixture.http.get(url).bearer_auth(token).send().await.expect("answers");
        let page: Value = answer.json().await.expect("JSON");
        let items = page["items"].as_array().expect("items").iter();
        let mut sites: Vec<_> = items.map(|item| item["site"].to_string()).collect();
        sites.sort_unstable();
        (sites.join(" "), page["total"].as_u64().expect("a number"))
    };
    assert_eq!(list("clinician@*", "").await, (r#""north" "south" null"#.into(), 3));
    assert_eq!(list("clinician@north", "").await, (r#""north""#.into(), 1));
    assert_eq!(list("clinician@north,south", "").await, (r#""north" "south""#.into(), 2));
    assert_eq!(list("clinician@north", "?site=south").await, (String::new(), 0));
    assert_eq!(list("clinician@north", "?site=east").await, (String::new(), 0));
    assert_eq!(list("clinician@north reader@south", "?site=south").await, (r#""south""#.into(), 1));
    assert_eq!(list("reader@north", "?flagged=true").await.1, 1);
    assert_eq!(list("reader@east", "").await.1, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_tells_of_the_caller_s_sites_only() {
    let hospital = Hospital::open().await;
    let token = hospital.fixture.token("clinician@south").await;
    let mut stream = hospital.fixture.events_of("?after=0", &token).await;
    for status in ["queued", "analysing", "ready"] {
        let event = stream.image().await;
        assert_eq!((event.id.as_str(), event.status.as_str()), (hospital.south.as_str(), status));
    }
    let keys = ["incoming/north/2.jpg", "2.jpg", "incoming/south/2.jpg"].map(str::to_owned);
    let ids = hospital.fixture.admit(keys).await;
    assert_eq!(stream.image().await.id, ids[2].to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_go_into_the_caller_s_own_sites() {
    let hospital = Hospital::open().await;
    let upload = async |grant: &str, query: &str| {
        let token = hospital.fixture.token(grant).await;
        let url = hospital.fixture.url(&format!("/v1/images{query}"));
        let request = hospital.fixture.http.post(url).bearer_auth(token);
        let request = request.header("content-type", "image/jpeg").body("not a picture");
        let (status, problem) = answer(request).await;
        (status.as_u16(), problem)
    };
    let ok = |status| (status, String::new());
    assert_eq!(upload("uploader@north", "").await, ok(202));
    assert_eq!(upload("uploader@north", "?site=north").await, ok(202));
    assert_eq!(upload("uploader@north", "?site=south").await.1, "/problems/not-allowed");
    assert_eq!(upload("uploader@north,south", "").await.1, "/problems/bad-parameter");
    assert_eq!(upload("uploader@north,south", "?site=south").await, ok(202));
    assert_eq!(upload("uploader@*", "").await, ok(202));
    let token = hospital.fixture.token("uploader@north").await;
    let body = serde_json::json!({ "names": ["a.jpg"], "site": "south" });
    let url = hospital.fixture.url("/v1/uploads");
    let request = hospital.fixture.http.post(url).bearer_auth(token).json(&body);
    assert_eq!(answer(request).await.1, "/problems/not-allowed");
}
