variable "notify" {
  description = "Handles in each monitor, such as \"@pagerduty-contact-centre @slack-ops\"."
  type        = string
  default     = ""
}

variable "runbook_url" {
  description = "Address of docs/runbook.md; monitors add the anchor of their section."
  type        = string
  default     = "docs/runbook.md"
}

variable "service" {
  description = "Value of the tag service of the monitors; the same as DD_SERVICE of the dispatcher."
  type        = string
  default     = "dispatcher"
}

variable "site_url" {
  description = "Address of the web interface of your Datadog site, for links to the dashboard."
  type        = string
  default     = "https://app.datadoghq.com"
}

variable "without" {
  description = "Names of monitors that are not created, such as [\"quota_shared\"]."
  type        = set(string)
  default     = []
}

variable "percentiles" {
  description = "Whether percentiles are configured. Datadog refuses that before the first run has sent the metrics: set it to false until then."
  type        = bool
  default     = true
}
