-- The steps where somebody waits, which are in `queue/`: made when they are needed, which for most
-- batches they are not.
local make, made
local function queued()
  made = made or make()
  return made
end
