-- The health of an EndpointData: Healthy once every process of the decision point reads this state of it.
local hs = {}

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  hs.status = "Progressing"
  hs.message = "the operator has not looked at this generation yet"
  return hs
end

local ready = nil
for _, condition in ipairs(obj.status.conditions or {}) do
  if condition.type == "Ready" then
    ready = condition
  end
end

if ready == nil then
  hs.status = "Progressing"
  hs.message = "the operator has not told its conditions yet"
  return hs
end

hs.message = ready.message

if ready.status == "True" then
  hs.status = "Healthy"
  return hs
end

-- Read by some processes and not yet by all, or nobody answers who reads it.
if ready.status == "Unknown" or ready.reason == "Pending" then
  hs.status = "Progressing"
  return hs
end

hs.status = "Degraded"
return hs
