import { NoSchemaIntrospectionCustomRule, type validate } from 'graphql';
import type { Plugin } from 'graphql-yoga';

/**
 * For INTROSPECTION=off: introspection is refused (`_service`, by which routers fetch the SDL, is
 * not touched), and error messages do not suggest names from it
 * ("Did you mean …?"), which would tell it piece by piece.
 */
export function useHiddenSchema(): Plugin {
  return {
    onValidate({ addValidationRule, validateFn, setValidationFn }) {
      addValidationRule(NoSchemaIntrospectionCustomRule);
      const withoutSuggestions: typeof validate = (schema, document, rules, options) =>
        validateFn(schema, document, rules, { ...options, hideSuggestions: true });
      setValidationFn(withoutSuggestions);
    },
  };
}
