//! The module of network, databases and processes: planned, with nothing of AWS behind it but who asks. It is not applied: the
//! emulator has not all of it.

use std::process::Command;
use std::sync::LazyLock;

use lobar_tests::kit::executable;
use serde_json::{Value, json};

use crate::terraform::{Trial, configuration};
use crate::tools::{at, run, said, text};

const PASSWORD: &str = "TF-database-password-of-a-trial";
const TOKEN: &str = "TokenOfATrialOfLobar";

/// What is asked of it.
fn asked(worker: Value) -> Value {
    json!({
        "bucket": "xrays-trial",
        "jobs_on_sqs": true,
        "database_password": PASSWORD,
        "signal_token": TOKEN,
        "platform": {
            "availability_zones": ["us-east-1a", "us-east-1b"],
            "host": "lobar.example",
            "certificate_arn": "arn:aws:acm:us-east-1:123456789012:certificate/0d5ef2b6-1b5e-4a54-9d2b-9a4f2f6f6d3e",
            "node_image": "images.example/lobar-node:0.1.0",
            "worker_image": "images.example/lobar-worker:0.1.0",
            "worker": worker,
        },
    })
}

/// A plan, as Terraform tells it, or what it said against it.
fn plan(trial: &Trial, asked: &Value) -> Result<Value, String> {
    std::fs::write(trial.folder.join("trial.tfvars.json"), asked.to_string()).expect("written");
    let plain = ["-no-color", "-input=false", "-var-file=trial.tfvars.json", "-out=trial.plan"];
    let planned = trial.terraform(&[&["plan"][..], &plain].concat());
    if !planned.status.success() {
        return Err(said(&planned));
    }
    let shown = trial.must(&["show", "-json", "trial.plan"]).stdout;
    Ok(serde_json::from_slice(&shown).expect("JSON"))
}

/// The plans with workers on GPUs and on CPUs; made once.
fn plans() -> Option<&'static (Value, Value)> {
    static PLANS: LazyLock<Option<(Value, Value)>> = LazyLock::new(|| {
        let trial = Trial::start()?;
        let mut bare = asked(json!({}));
        bare.as_object_mut().expect("variables").remove("database_password");
        let refused = plan(&trial, &bare).expect_err("no password is given");
        assert!(refused.contains("Give database_password"), "{refused}");
        let gpu = plan(&trial, &asked(json!({ "gpu": true, "spot": true }))).expect("a plan");
        let cpu = plan(&trial, &asked(json!({}))).expect("a plan");
        Some((gpu, cpu))
    });
    PLANS.as_ref()
}

/// What will be of a kind.
fn of<'a>(plan: &'a Value, kind: &str) -> Vec<&'a Value> {
    let changes = plan["resource_changes"].as_array().expect("changes");
    let made = changes.iter().filter(|change| change["mode"] == "managed");
    made.filter(|change| change["type"] == kind).map(|change| &change["change"]["after"]).collect()
}

#[test]
fn a_plan_asks_nothing_of_aws_and_keeps_no_password() {
    let Some((gpu, cpu)) = plans() else { return };
    for plan in [gpu, cpu] {
        assert!(!plan.to_string().contains(PASSWORD), "the database's password is in the plan");
        let changes = plan["resource_changes"].as_array().expect("changes");
        let read = changes.iter().filter(|change| change["mode"] == "data");
        for kind in read.map(|change| change["type"].as_str().expect("a type")) {
            assert_eq!(kind, "aws_iam_policy_document", "it is asked of AWS");
        }
    }
}

#[test]
fn what_holds_people_s_data_is_encrypted_kept_apart_and_saved() {
    let Some((plan, _)) = plans() else { return };
    let store = of(plan, "aws_db_instance")[0];
    for field in ["storage_encrypted", "multi_az", "deletion_protection"] {
        assert_eq!(store[field], true, "{field}");
    }
    assert_eq!(store["publicly_accessible"], false);
    assert!(store["backup_retention_period"].as_u64().is_some_and(|days| days >= 7));
    let signal = of(plan, "aws_elasticache_replication_group")[0];
    assert_eq!(signal["transit_encryption_enabled"], true);
    assert_eq!(signal["at_rest_encryption_enabled"], "true");
    assert_eq!(of(plan, "aws_subnet").len(), 4);
    assert_eq!(of(plan, "aws_nat_gateway").len(), 2);
    for rule in of(plan, "aws_vpc_security_group_ingress_rule") {
        assert_ne!(rule["cidr_ipv4"], "0.0.0.0/0", "anybody may come in");
        assert_eq!(rule["from_port"], rule["to_port"]);
    }
    // Two sides of each way, and what calls out calls port 443.
    let out = of(plan, "aws_vpc_security_group_egress_rule");
    let anywhere = out.iter().filter(|rule| rule["cidr_ipv4"].is_string());
    assert!(anywhere.into_iter().all(|rule| rule["from_port"] == 443 && rule["to_port"] == 443));
}

#[test]
fn page_and_api_are_reached_by_tls_only() {
    let Some((plan, _)) = plans() else { return };
    let listeners = of(plan, "aws_lb_listener");
    let on = |port: u64| listeners.iter().find(|listener| listener["port"] == port).expect("one");
    assert_eq!(on(443)["protocol"], "HTTPS");
    assert!(on(443)["ssl_policy"].as_str().is_some_and(|policy| policy.contains("TLS13")));
    assert_eq!(at(on(80), "/default_action/0/redirect/0/protocol"), "HTTPS");
    let balancer = of(plan, "aws_lb")[0];
    assert_eq!(balancer["internal"], true, "unless it is asked to be public");
    assert!(balancer["idle_timeout"].as_u64().is_some_and(|seconds| seconds > 10));
    assert_eq!(balancer["preserve_host_header"], true);
}

#[test]
fn machines_go_only_once_no_worker_is_on_them() {
    let Some((gpu, cpu)) = plans() else { return };
    let provider = at(of(gpu, "aws_ecs_capacity_provider")[0], "/auto_scaling_group_provider/0");
    assert_eq!(provider["managed_termination_protection"], "ENABLED");
    assert_eq!(provider["managed_draining"], "ENABLED");
    assert_eq!(at(provider, "/managed_scaling/0/status"), "ENABLED");
    assert_eq!(of(gpu, "aws_autoscaling_group")[0]["protect_from_scale_in"], true);
    let machines = text("ops/terraform/platform/machines.tf");
    assert!(machines.contains("ECS_ENABLE_SPOT_INSTANCE_DRAINING=true"));
    for kind in ["aws_ecs_capacity_provider", "aws_autoscaling_group", "aws_launch_template"] {
        assert!(of(cpu, kind).is_empty(), "{kind}: workers on CPUs need no machines");
    }
    let services = of(cpu, "aws_ecs_service");
    let worker = services.iter().find(|service| service["name"] == "worker").expect("there");
    assert_eq!(at(worker, "/capacity_provider_strategy/0/capacity_provider"), "FARGATE");
}

#[test]
fn workers_are_scaled_by_work_in_flight_too() {
    let Some((plan, _)) = plans() else { return };
    let policy = of(plan, "aws_appautoscaling_policy")[0];
    let tracking = at(policy, "/target_tracking_scaling_policy_configuration/0");
    let metrics = at(tracking, "/customized_metric_specification/0/metrics");
    let metrics = metrics.as_array().expect("metrics");
    let name = |metric: &Value| metric.pointer("/metric_stat/0/metric/0/metric_name").cloned();
    for counted in ["ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"] {
        let those = metrics.iter().filter(|metric| name(metric) == Some(counted.into()));
        assert_eq!(those.count(), 3, "{counted}: of uploads, urgent and routine jobs");
    }
    let told: Vec<&Value> = metrics.iter().filter(|metric| metric["return_data"] == true).collect();
    assert_eq!(told.len(), 1);
    let formula = told[0]["expression"].as_str().expect("a formula");
    for metric in metrics.iter().filter(|metric| metric["return_data"] == false) {
        let id = metric["id"].as_str().expect("an id");
        assert!(formula.contains(&format!("FILL({id}, 0)")), "{id} is not in {formula}");
    }
}

#[test]
fn each_role_may_do_what_its_policy_says_and_alarms_watch_each_queue() {
    let Some((plan, _)) = plans() else { return };
    let roles: Vec<&Value> = of(plan, "aws_iam_role").iter().map(|role| &role["name"]).collect();
    for role in ["ingest", "worker", "api"] {
        assert!(roles.contains(&&format!("lobar-task-{role}").into()), "{roles:?}");
    }
    let alarms = of(plan, "aws_cloudwatch_metric_alarm");
    let on = |metric: &str| alarms.iter().filter(|alarm| alarm["metric_name"] == metric).count();
    assert_eq!(on("ApproximateNumberOfMessagesVisible"), 3, "dead letters");
    assert_eq!(on("ApproximateAgeOfOldestMessage"), 3);
    assert_eq!(on("RunningTaskCount"), 3);
    assert_eq!(on("FreeStorageSpace"), 1);
}

#[test]
fn tasks_outlive_their_drain_and_are_given_settings_that_lobar_takes() {
    let tasks = text("ops/terraform/platform/tasks.tf");
    let seconds = |name: &str| -> u64 {
        let line = tasks.lines().find(|line| line.trim().starts_with(name)).expect("there");
        let value = line.split('=').nth(1).expect("a value").split_whitespace().next();
        value.expect("a number").parse().expect("a number")
    };
    assert!(seconds("stop_seconds") >= seconds("drain_seconds") + 15);
    assert!(seconds("stop_seconds") <= 120, "neither Fargate nor a spot notice gives more");
    let help = run(Command::new(executable()).args(["run", "--help"]));
    let texts =
        configuration().into_iter().map(|path| std::fs::read_to_string(path).expect("read"));
    let texts = texts.collect::<String>();
    let words = texts.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let settings = words.filter(|word| word.starts_with("LOBAR_") && word.len() > 6);
    for name in settings {
        let known = [format!("[env: {name}=]"), format!("[env: {name}]")];
        assert!(known.iter().any(|known| help.contains(known)), "{name} is no setting");
    }
}
