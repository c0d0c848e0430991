// Reads the lab's judgements (`GET /_lab/judgements`) from standard input, and prints another evaluator's verdicts: a JSON
// list of "Allowed", "ImplicitlyDenied", "ExplicitlyDenied", or the errors of the question.
import { readFileSync } from 'node:fs'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const ACCOUNT = '123456789012'
const { documents, judgements } = JSON.parse(readFileSync(0, 'utf8'))
// The evaluator does not know this key with a tag's name at its end, so it is left out. For a policy with this key the
// verdicts would differ.
const UNKNOWN = 'secretsmanager:ResourceTag/'
// The evaluator does not know that a public parameter belongs to no account.
const owned = (resource) => resource.replace(/^(arn:aws:ssm:[^:]*):(:parameter\/aws\/)/, `$1:${ACCOUNT}$2`)
const values = (context) =>
  Object.fromEntries(
    Object.entries(context)
      .filter(([key]) => !key.startsWith(UNKNOWN))
      .map(([key, value]) => [key, Array.isArray(value) ? value : String(value)]),
  )

const verdicts = []
for (const judgement of judgements) {
  const named = (kind) => documents[judgement[kind]].map((policy, index) => ({ name: `${kind}-${index}`, policy }))
  const response = await runSimulation(
    {
      identityPolicies: named('identity'),
      permissionBoundaryPolicies: documents[judgement.boundary].length ? named('boundary') : undefined,
      resourcePolicy: documents[judgement.resource_policies][0],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      request: {
        principal: judgement.principal,
        action: judgement.action,
        resource: { resource: owned(judgement.resource), accountId: ACCOUNT },
        contextVariables: values(judgement.context),
      },
    },
    {},
  )
  verdicts.push(response.resultType === 'error' ? JSON.stringify(response.errors) : response.overallResult)
}
console.log(JSON.stringify(verdicts))
