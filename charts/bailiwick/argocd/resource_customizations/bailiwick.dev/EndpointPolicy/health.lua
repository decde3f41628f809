-- The health of an EndpointPolicy: Healthy once every process of the decision point decides by it as its author wrote.
local hs = {}

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  hs.status = "Progressing"
  hs.message = "the operator has not looked at this generation yet"
  return hs
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition
end
local accepted = conditions["Accepted"]
local ready = conditions["Ready"]

if accepted == nil or ready == nil then
  hs.status = "Progressing"
  hs.message = "the operator has not told its conditions yet"
  return hs
end

-- It does not compile, or another policy speaks for the endpoint's settings: what it gates is denied.
if accepted.status == "False" then
  hs.status = "Degraded"
  hs.message = accepted.message
  return hs
end

hs.message = ready.message

if ready.status == "True" then
  hs.status = "Healthy"
  if ready.reason == "Suspended" then
    hs.status = "Suspended"
  end
  -- How many rules, and the compiler's warnings.
  hs.message = ready.message .. "; " .. accepted.message
  return hs
end

-- The author set the date, and nothing is left to be done: were it Degraded, every later change of the application
-- would stand still on the day.
if ready.reason == "Expired" then
  hs.status = "Healthy"
  return hs
end

-- Served by some processes and not yet by all, or nobody answers who serves it.
if ready.status == "Unknown" or ready.reason == "Pending" or ready.reason == "Deleting" then
  hs.status = "Progressing"
  return hs
end

hs.status = "Degraded"
return hs
