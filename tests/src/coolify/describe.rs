//! How Coolify describes an application and all that hangs on it: some hundred keys, most of them of no use to anybody who
//! deploys, and some of them secret. Which keys there are depends on the version and on what the token may see.

use serde_json::{Map, Value, json};

use super::CANARY;
use super::application::Application;
use super::profile::Profile;
use super::row::time;

/// Null unless somebody has set them.
const NULL: &[&str] = &[
    "build_command",
    "custom_docker_run_options",
    "custom_network_aliases",
    "custom_nginx_configuration",
    "deleted_at",
    "description",
    "docker_compose_custom_build_command",
    "docker_compose_custom_start_command",
    "docker_compose_domains",
    "docker_registry_image_name",
    "docker_registry_image_tag",
    "dockerfile_location",
    "dockerfile_target_build",
    "fqdn",
    "git_full_url",
    "health_check_command",
    "health_check_port",
    "health_check_response_text",
    "http_basic_auth_username",
    "install_command",
    "last_restart_at",
    "last_restart_type",
    "limits_cpuset",
    "ports_mappings",
    "post_deployment_command",
    "post_deployment_command_container",
    "pre_deployment_command",
    "pre_deployment_command_container",
    "publish_directory",
    "repository_project_id",
    "source_id",
    "source_type",
    "start_command",
    "swarm_placement_constraints",
    "watch_paths",
];

/// Only for `read:sensitive`, since 4.2.0 and before.
const SENSITIVE: &[&str] = &[
    "custom_labels",
    "docker_compose",
    "docker_compose_raw",
    "dockerfile",
    "http_basic_auth_password",
    "manual_webhook_secret_bitbucket",
    "manual_webhook_secret_gitea",
    "manual_webhook_secret_github",
    "manual_webhook_secret_gitlab",
    "private_key_id",
];

const SERVER_NULL: &[&str] = &[
    "cloud_provider_token_id",
    "deleted_at",
    "detected_traefik_version",
    "hetzner_server_id",
    "hetzner_server_status",
    "ip_previous",
    "server_metadata",
    "swarm_cluster",
    "traefik_outdated_info",
    "validation_logs",
];

const SERVER_OFF: &[&str] = &[
    "delete_unused_networks",
    "delete_unused_volumes",
    "disable_application_image_retention",
    "force_disabled",
    "generate_exact_labels",
    "is_build_server",
    "is_cloudflare_tunnel",
    "is_jump_server",
    "is_logdrain_axiom_enabled",
    "is_logdrain_custom_enabled",
    "is_logdrain_highlight_enabled",
    "is_logdrain_newrelic_enabled",
    "is_metrics_enabled",
    "is_sentinel_debug_enabled",
    "is_swarm_manager",
    "is_swarm_worker",
];

const SERVER_ON: &[&str] =
    &["force_docker_cleanup", "is_reachable", "is_sentinel_enabled", "is_terminal_enabled", "is_usable"];

/// Secrets of a server, which everybody who may read was shown before 4.2.0.
const SERVER_SECRETS: &[&str] = &[
    "logdrain_axiom_api_key",
    "logdrain_custom_config",
    "logdrain_custom_config_parser",
    "logdrain_newrelic_license_key",
];

const OFF: &[&str] = &[
    "connect_to_docker_network",
    "disable_build_cache",
    "include_source_commit_in_build",
    "is_build_server_enabled",
    "is_consistent_container_name_enabled",
    "is_debug_enabled",
    "is_env_sorting_enabled",
    "is_gpu_enabled",
    "is_include_timestamps",
    "is_log_drain_enabled",
    "is_pr_deployments_public_enabled",
    "is_preserve_repository_enabled",
    "is_preview_deployments_enabled",
    "is_raw_compose_deployment_enabled",
    "is_spa",
    "is_static",
    "use_build_secrets",
];

const ON: &[&str] = &[
    "inject_build_args_to_dockerfile",
    "is_container_label_escape_enabled",
    "is_container_label_readonly_enabled",
    "is_force_https_enabled",
    "is_git_lfs_enabled",
    "is_git_shallow_clone_enabled",
    "is_git_submodules_enabled",
    "is_gzip_enabled",
    "is_stripprefix_enabled",
    "is_swarm_only_worker_nodes",
];

const SOME_DAY: &str = "2026-01-01T00:00:00.000000Z";

/// Where an application is described: on its own, in the list of all, or within one of its deployments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    Itself,
    List,
    Deployment,
}

fn set(map: &mut Map<String, Value>, keys: &[&str], value: &Value) {
    for key in keys {
        map.insert((*key).to_owned(), value.clone());
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// An application, as far as this version tells it there.
pub(super) fn application(
    app: &Application,
    uuid: &str,
    profile: &Profile,
    sensitive: bool,
    within: Within,
) -> Value {
    let mut value = Map::new();
    set(&mut value, NULL, &Value::Null);
    value.append(&mut object(own(app, uuid)));
    value.append(&mut object(usual()));
    value.insert("status".into(), json!(app.status()));
    value.insert("destination".into(), destination(app, profile, sensitive && within == Within::Itself));
    let others = (0..app.extra_servers).map(|n| additional(app, n, profile)).collect();
    value.insert("additional_servers".into(), Value::Array(others));
    if profile.is_strict() {
        value.insert("noindex_domains".into(), Value::Null);
        if within != Within::List {
            value.insert("environment".into(), environment());
        }
    }
    match within {
        Within::Deployment => {
            value.insert("id".into(), json!(app.id));
            value.insert("private_key_id".into(), Value::Null);
        }
        Within::Itself => {
            if sensitive {
                set(&mut value, SENSITIVE, &Value::Null);
                value.insert("manual_webhook_secret_github".into(), json!(CANARY));
                value.insert("dockerfile".into(), json!(app.dockerfile));
            }
            if profile.is_strict() {
                value.insert("settings".into(), settings(app));
            }
        }
        Within::List => {}
    }
    more(value, app, sensitive && within == Within::Itself)
}

/// What a test has set, where the real one would show it at all.
fn more(mut value: Map<String, Value>, app: &Application, sensitive: bool) -> Value {
    for (key, more) in &app.more {
        let hidden = SENSITIVE.contains(&key.as_str()) && !sensitive;
        match key.split_once('.') {
            Some(("settings", key)) => {
                if let Some(Value::Object(settings)) = value.get_mut("settings") {
                    settings.insert(key.to_owned(), more.clone());
                }
            }
            _ if hidden => {}
            _ => {
                value.insert(key.clone(), more.clone());
            }
        }
    }
    Value::Object(value)
}

/// What is this application's own.
fn own(app: &Application, uuid: &str) -> Value {
    let health = app.health_check;
    let mut value = json!({
        "uuid": uuid, "name": app.name, "build_pack": app.build_pack, "config_hash": app.deployed_hash,
        "additional_networks_count": app.extra_servers, "additional_servers_count": app.extra_servers,
        "destination_id": app.server, "git_branch": app.branch, "git_commit_sha": app.pin, "git_repository": app.repository(),
        "health_check_enabled": health, "docker_registry_image_tag": app.tag,
        "updated_at": time(app.updated), "last_online_at": app.online.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    });
    if app.is_image() {
        value["docker_registry_image_name"] = json!(app.image);
    } else {
        value["source_id"] = json!(0);
        value["source_type"] = json!("App\\Models\\GithubApp");
    }
    if app.dockerfile.is_some() {
        value["repository_project_id"] = json!(0);
    } else if app.build_pack == "dockerfile" {
        value["dockerfile_location"] = json!("/Dockerfile");
    }
    value
}

/// What is so in most applications.
fn usual() -> Value {
    json!({
        "base_directory": "/", "compose_parsing_version": "5", "custom_healthcheck_found": false,
        "destination_type": "App\\Models\\StandaloneDocker", "docker_compose_location": "/docker-compose.yaml", "environment_id": 1,
        "health_check_host": "localhost", "health_check_interval": 5, "health_check_method": "GET", "health_check_path": "/",
        "health_check_retries": 10, "health_check_return_code": 200, "health_check_scheme": "http", "health_check_start_period": 5,
        "health_check_timeout": 5, "health_check_type": "http", "is_http_basic_auth_enabled": false, "limits_cpu_shares": 1024,
        "limits_cpus": "0", "limits_memory": "0", "limits_memory_reservation": "0", "limits_memory_swap": "0",
        "limits_memory_swappiness": 60, "max_restart_count": 10, "ports_exposes": "80", "preview_url_template": "{{pr_id}}.{{domain}}",
        "redirect": "both", "restart_count": 0, "server_status": true, "static_image": "nginx:alpine", "swarm_replicas": 1,
        "created_at": SOME_DAY,
    })
}

fn settings(app: &Application) -> Value {
    let mut value = Map::new();
    set(&mut value, OFF, &json!(false));
    set(&mut value, ON, &json!(true));
    set(
        &mut value,
        &["custom_internal_name", "gpu_count", "gpu_device_ids", "gpu_options", "stop_grace_period"],
        &Value::Null,
    );
    value.insert("is_auto_deploy_enabled".into(), json!(app.auto_deploy));
    value.insert("docker_images_to_keep".into(), json!(2));
    value.insert("gpu_driver".into(), json!("nvidia"));
    Value::Object(value)
}

fn destination(app: &Application, profile: &Profile, sensitive: bool) -> Value {
    json!({
        "id": app.server, "name": "coolify", "uuid": format!("net{:021}", app.server), "network": "coolify", "server_id": app.server,
        "created_at": SOME_DAY, "updated_at": SOME_DAY, "server": server(app.server, profile, sensitive),
    })
}

/// The name of a server; the first one is Coolify's own.
pub(super) fn server_name(id: usize) -> String {
    if id == 0 { "localhost".to_owned() } else { format!("server-{}", id + 1) }
}

fn server(id: usize, profile: &Profile, sensitive: bool) -> Value {
    let mut value = Map::new();
    set(&mut value, SERVER_NULL, &Value::Null);
    if profile.is_strict() {
        let clouds = [
            "digitalocean_droplet_id",
            "digitalocean_droplet_status",
            "vultr_instance_id",
            "vultr_instance_status",
        ];
        set(&mut value, &clouds, &Value::Null);
    }
    let first = id == 0;
    let mut own = object(json!({
        "id": id, "uuid": if first { "localhost".to_owned() } else { format!("srv{id:021}") }, "name": server_name(id),
        "description": if first { json!("where Coolify itself runs") } else { Value::Null },
        "ip": format!("10.99.0.{}", id + 1), "port": 22, "user": "root", "team_id": 0, "private_key_id": 1,
        "proxy": if first { json!({ "type": "TRAEFIK", "status": "exited", "redirect_enabled": true }) } else { json!({ "redirect_enabled": true }) },
        "created_at": SOME_DAY, "updated_at": SOME_DAY, "unreachable_notification_sent": false, "unreachable_count": 0,
        "high_disk_usage_notification_sent": false, "log_drain_notification_sent": false, "sentinel_updated_at": "2026-01-01 00:00:00",
        "is_validating": false, "is_coolify_host": first, "settings": server_settings(id, profile, sensitive),
    }));
    value.append(&mut own);
    Value::Object(value)
}

fn server_settings(id: usize, profile: &Profile, sensitive: bool) -> Value {
    let mut value = Map::new();
    set(&mut value, SERVER_OFF, &json!(false));
    set(&mut value, SERVER_ON, &json!(true));
    set(
        &mut value,
        &["logdrain_axiom_dataset_name", "logdrain_highlight_project_id", "logdrain_newrelic_base_uri"],
        &Value::Null,
    );
    let mut usual = object(json!({
        "id": id + 1, "server_id": id, "created_at": SOME_DAY, "updated_at": SOME_DAY, "concurrent_builds": 2, "connection_timeout": 10,
        "deployment_queue_limit": 25, "docker_cleanup_frequency": "0 0 * * *", "docker_cleanup_threshold": 80, "dynamic_timeout": 3600,
        "sentinel_metrics_history_days": 7, "sentinel_metrics_refresh_rate_seconds": 10, "sentinel_push_interval_seconds": 60,
        "server_disk_usage_check_frequency": "0 23 * * *", "server_disk_usage_notification_threshold": 80, "server_timezone": "UTC",
        "wildcard_domain": if id == 0 { json!("http://127.0.0.1.sslip.io") } else { Value::Null },
    }));
    value.append(&mut usual);
    if profile.is_strict() {
        set(&mut value, &["compose_version", "compose_version_checked_at"], &Value::Null);
        value.insert("docker_version".into(), json!("27.3.1"));
        value.insert("docker_version_checked_at".into(), json!(SOME_DAY));
        value.insert("backup_compression_cpu_percentage".into(), json!(25));
    }
    if sensitive || !profile.is_strict() {
        set(&mut value, SERVER_SECRETS, &Value::Null);
        value.insert("sentinel_token".into(), json!(CANARY));
        value.insert("sentinel_custom_url".into(), json!("http://host.docker.internal:8000"));
    }
    Value::Object(value)
}

/// Another server of an application, with what runs there.
fn additional(app: &Application, n: usize, profile: &Profile) -> Value {
    let id = app.server + n + 1;
    let mut value = server(id, profile, false);
    value["pivot"] = json!({
        "application_id": app.id, "server_id": id, "standalone_docker_id": id, "status": app.status_on(n),
    });
    value
}

fn environment() -> Value {
    let team = json!({
        "id": 0, "name": "Luxima", "description": "the team", "personal_team": true, "created_at": SOME_DAY, "updated_at": SOME_DAY,
        "show_boarding": true, "custom_server_limit": null, "is_mcp_server_enabled": true,
    });
    let project = json!({
        "id": 1, "uuid": "project", "name": "shop", "description": "the shop", "team_id": 0, "created_at": SOME_DAY,
        "updated_at": SOME_DAY, "icon_path": null, "icon_storage_type": null, "icon_s3_storage_id": null, "team": team,
    });
    json!({
        "id": 1, "name": "production", "project_id": 1, "created_at": SOME_DAY, "updated_at": SOME_DAY, "description": null,
        "uuid": "env000000000000000000001", "project": project,
    })
}
