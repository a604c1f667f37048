"""What components of the collector can be told, as far as it is used here: from the documentation of v0.153 to v0.165.

A key that is missing here is not wrong, but nobody has looked it up.
"""

_BATCHING = {
    "sending_queue.sizer",
    "sending_queue.queue_size",
    "sending_queue.block_on_overflow",
    "sending_queue.storage",
    "sending_queue.batch.flush_timeout",
    "sending_queue.batch.min_size",
    "sending_queue.batch.max_size",
}
_RETRYING = {"retry_on_failure.max_elapsed_time"}

COMPONENTS = {
    "file_storage": {"directory", "create_directory"},
    "file_log": {
        "include[]",
        "include_file_path",
        "start_at",
        "storage",
        "retry_on_failure.enabled",
        "operators[].type",
        "operators[].if",
        "operators[].timestamp.parse_from",
        "operators[].timestamp.layout_type",
        "operators[].timestamp.layout",
        "operators[].severity.parse_from",
        "operators[].trace.trace_id.parse_from",
        "operators[].trace.span_id.parse_from",
        "operators[].from",
        "operators[].to",
        "operators[].fields[]",
    },
    "otlp": {"protocols.http.endpoint"},
    "memory_limiter": {"check_interval", "limit_percentage", "spike_limit_percentage"},
    "redaction": {"allow_all_keys", "blocked_values[]", "summary"},
    "tail_sampling": {
        "decision_wait",
        "num_traces",
        "decision_cache.sampled_cache_size",
        "decision_cache.non_sampled_cache_size",
        "policies[].name",
        "policies[].type",
        "policies[].status_code.status_codes[]",
        "policies[].latency.threshold_ms",
        "policies[].probabilistic.sampling_percentage",
    },
    "routing": {"default_pipelines[]", "error_mode", "table[].context", "table[].condition", "table[].pipelines[]"},
    "otlp_http": {"endpoint", "headers.X-Scope-OrgID"} | _BATCHING | _RETRYING,
    "awscloudwatchlogs": {"region", "log_group_name", "log_stream_name", "raw_log"} | _BATCHING | _RETRYING,
}
OPERATORS = {"container", "json_parser", "copy", "retain"}
