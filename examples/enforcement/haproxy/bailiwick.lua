-- HAProxy asks Bailiwick about each call (see haproxy.cfg). Whatever is not an answer of 200 is a denial. Its client asks up to
-- four times; all tries carry the one X-Request-ID that HAProxy made, so that they use one approval.
local ask = "https://bailiwick-webhook.bailiwick-system.svc:443/auth-request/crm/crm-api"
local token_file = "/var/run/secrets/bailiwick/token"

-- Its client has no certificate to show, so that HAProxy proves itself by a projected token for the audience bailiwick.
local function token()
  local file = io.open(token_file, "r")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return (text:gsub("%s+$", ""))
end

-- What is passed on of the client's own: each as often as it is there, so that what is there twice is refused.
local passed = {
  "authorization", "content-type", "traceparent", "x-bailiwick-approval", "x-http-method", "x-http-method-override",
  "x-method-override", "x-original-url", "x-request-id", "x-rewrite-url",
}

core.register_action("bailiwick", { "http-req" }, function(txn)
  txn:set_var("txn.allow", false)
  txn:set_var("txn.reason", "pdp_unavailable")
  local own = token()
  if not own then return end
  local sent, send = txn.http:req_get_headers(), {}
  for _, name in ipairs(passed) do
    if sent[name] then
      send[name] = {}
      for index = 0, #sent[name] do send[name][#send[name] + 1] = sent[name][index] end
    end
  end
  send["x-bailiwick-enforcer"] = { "Bearer " .. own }
  send["x-original-method"] = { txn.f:method() }
  send["x-original-uri"] = { txn.f:pathq() }
  if sent["host"] then
    send["x-original-host"] = {}
    for index = 0, #sent["host"] do send["x-original-host"][index + 1] = sent["host"][index] end
  end
  local answer = core.httpclient():get { url = ask, headers = send, timeout = 1000 }
  if not answer or not answer.status then return end
  local function one(name) local found = answer.headers and answer.headers[name]; return found and found[0] or "" end
  for _, name in ipairs({ "reason", "evaluation", "access-request", "task" }) do
    local told = one("x-bailiwick-" .. name)
    -- Where it could not be asked there is an answer of HAProxy's own, which says nothing.
    if told ~= "" then txn:set_var("txn." .. name:gsub("-", "_"), told) end
  end
  if answer.status == 200 and one("x-bailiwick-decision") ~= "" then
    txn:set_var("txn.allow", true)
    txn:set_var("txn.decision", one("x-bailiwick-decision"))
    txn:set_var("txn.subject", one("x-bailiwick-subject"))
    txn:set_var("txn.issuer", one("x-bailiwick-issuer"))
  end
end)
