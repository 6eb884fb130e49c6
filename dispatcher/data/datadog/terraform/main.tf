# The same files that `dispatcher datadog apply` uses: use one of the two, not both.

locals {
  assets = "${path.module}/.."

  # A link has one fragment: the section of the runbook.
  runbook_url = split("#", var.runbook_url)[0]
  site_url    = trimsuffix(var.site_url, "/")

  # Texts are filled into JSON: a quote or backslash in them must be escaped.
  notify_json      = jsonencode(var.notify)
  runbook_url_json = jsonencode(local.runbook_url)
  service_json     = jsonencode(var.service)
  notify_text      = substr(local.notify_json, 1, length(local.notify_json) - 2)
  runbook_url_text = substr(local.runbook_url_json, 1, length(local.runbook_url_json) - 2)
  service_text     = substr(local.service_json, 1, length(local.service_json) - 2)

  monitors = {
    for file in fileset("${local.assets}/monitors", "*.json") :
    trimsuffix(file, ".json") => "${local.assets}/monitors/${file}"
    if !contains(var.without, trimsuffix(file, ".json"))
  }
}

resource "datadog_dashboard_json" "dispatcher" {
  dashboard = templatefile("${local.assets}/dashboard.json", {
    runbook_url = local.runbook_url_text
  })
}

resource "datadog_monitor_json" "dispatcher" {
  for_each = local.monitors

  monitor = jsonencode(jsondecode(templatefile(each.value, {
    notify        = local.notify_text
    runbook_url   = local.runbook_url_text
    dashboard_url = "${local.site_url}${datadog_dashboard_json.dispatcher.url}"
    service       = local.service_text
  })).definition)
}

resource "datadog_metric_tag_configuration" "dispatcher" {
  for_each = {
    for file in fileset("${local.assets}/percentiles", "*.json") :
    file => jsondecode(file("${local.assets}/percentiles/${file}")).data
    if var.percentiles
  }

  metric_name         = each.value.id
  metric_type         = each.value.attributes.metric_type
  include_percentiles = each.value.attributes.include_percentiles
  tags                = each.value.attributes.tags

  # Which tags can be queried (Metrics without Limits) may be changed in Datadog.
  lifecycle {
    ignore_changes = [tags, exclude_tags_mode]
  }
}
