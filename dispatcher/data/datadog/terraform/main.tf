# The same files that `dispatcher datadog apply` uses: use one of the two, not both.

locals {
  assets = "${path.module}/.."

  monitors = {
    for file in fileset("${local.assets}/monitors", "*.json") :
    trimsuffix(file, ".json") => "${local.assets}/monitors/${file}"
    if !contains(var.without, trimsuffix(file, ".json"))
  }
}

resource "datadog_dashboard_json" "dispatcher" {
  dashboard = templatefile("${local.assets}/dashboard.json", {
    runbook_url = var.runbook_url
  })
}

resource "datadog_monitor_json" "dispatcher" {
  for_each = local.monitors

  monitor = jsonencode(jsondecode(templatefile(each.value, {
    notify        = var.notify
    runbook_url   = var.runbook_url
    dashboard_url = "${var.site_url}${datadog_dashboard_json.dispatcher.url}"
    service       = var.service
  })).definition)
}

resource "datadog_metric_tag_configuration" "dispatcher" {
  for_each = {
    for file in fileset("${local.assets}/percentiles", "*.json") :
    file => jsondecode(file("${local.assets}/percentiles/${file}")).data
  }

  metric_name         = each.value.id
  metric_type         = each.value.attributes.metric_type
  include_percentiles = each.value.attributes.include_percentiles
  tags                = each.value.attributes.tags
}
